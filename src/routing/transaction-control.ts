import type { Statement } from "../sql/statement.ts";

/**
 * What a request does to the transaction it runs in, as far as undoing it goes: `begins` one with its
 * first statement and leaves it open, `commits` the open one and does nothing else, or is `mixed`,
 * ending or beginning one among other statements, so that it cannot be undone as a whole.
 */
export type TransactionControl = "none" | "begins" | "commits" | "mixed";

export function transactionControl(statements: readonly Statement[]): TransactionControl {
  const controls = statements.map(controlOf);
  const [first] = controls;
  if (statements.length === 1 && first !== undefined)
    return first === "rolls_back" ? "none" : first;
  const rest = controls.slice(1);
  if (rest.some((control) => control !== "none")) return "mixed";
  return first === undefined || first === "none" || first === "begins"
    ? (first ?? "none")
    : "mixed";
}

/** ROLLBACK by itself is harmless, among others it is not: what follows it would be committed. */
function controlOf({ effects }: Statement): TransactionControl | "rolls_back" {
  for (const effect of effects) {
    if (effect.type === "begin") return "begins";
    if (effect.type === "commit") return effect.chain ? "mixed" : "commits";
    if (effect.type === "prepare_transaction") return "mixed";
    if (effect.type === "rollback") return "rolls_back";
  }
  return "none";
}
