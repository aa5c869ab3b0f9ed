import type { Observation } from "../../compare/observation.ts";
import { decodeReply } from "../../compare/reply.ts";
import type { Verdict } from "../../compare/verdict.ts";
import type { Statement } from "../../sql/statement.ts";

/** Of the first error in an answer, if there is one. */
export function sqlstateOf(answer: Exclude<Observation, { kind: "lost" }>): string | undefined {
  if (answer.kind === "digested") {
    return answer.results.find(({ sqlstate }) => sqlstate !== undefined)?.sqlstate;
  }
  const failed = decodeReply(answer.frames).results.find(({ error }) => error !== undefined);
  return failed?.error?.sqlstate;
}

/** Asking twice tells better what comes from the clock or by chance than the text does. */
export function withoutChance(statement: Statement): Statement {
  const noise = statement.noise.filter((each) => each !== "clock" && each !== "volatile");
  return noise.length === statement.noise.length ? statement : { ...statement, noise };
}

/** What differs only where a rule says that it does not count differs not. */
export function agree(verdict: Verdict): boolean {
  if (verdict.kind === "incomparable") return verdict.reason === "rule";
  return verdict.kind !== "divergent";
}
