import { CodedError } from "../../base/errors.ts";
import { applyRest, applyTables } from "./apply-schema.ts";
import type { SchemaProgress, SchemaReport } from "./apply-schema.ts";
import { planSchema } from "./plan-schema.ts";
import type { SchemaDeps } from "./plan-schema.ts";

export type CopySchemaDeps = SchemaDeps & {
  readonly progress: SchemaProgress;
  /** Sentences on what was left out, which stops nothing. */
  readonly tell: (sentences: readonly string[]) => void;
};

/**
 * Makes the tables of NEW where it has none.
 * @returns what makes the rest of the schema and validates it, once the rows are there; undefined where NEW's tables are its own
 * @throws CodedError refused_by_guard where a schema can neither be copied nor done without
 */
export async function copySchema(deps: CopySchemaDeps): Promise<(() => Promise<void>) | undefined> {
  const outcome = await planSchema(deps);
  if (outcome.kind === "present") return undefined;
  if (outcome.kind === "refused") throw new CodedError("refused_by_guard", outcome.sentence);
  const { plan } = outcome;
  const tell = ({ skipped }: SchemaReport): void =>
    deps.tell(skipped.map(({ what, why }) => `${what} was not made on NEW: ${why}`));
  tell(await applyTables(deps, plan, deps.progress));
  return async () => tell(await applyRest(deps, plan, deps.progress));
}
