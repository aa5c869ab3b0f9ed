import type { Finding } from "../../src/compare/verdict.ts";
import type { Occurrence } from "../../src/divergence/recorder.ts";
import type { Statement } from "../../src/sql/statement.ts";

/** A read of `orders` as the classifier would give it. */
export function statementOf(fingerprint: string, normalised?: string): Statement {
  return {
    kind: "read",
    looksLike: "read",
    fingerprint,
    normalised: normalised ?? `SELECT * FROM orders WHERE id = $1 /* ${fingerprint} */`,
    tables: ["public.orders"],
    written: [],
    functions: [],
    effects: [],
    noise: [],
    order: { kind: "any" },
  };
}

export function occurrenceOf(
  statement: Statement,
  finding: Partial<Finding>,
  atMs = 1_000,
): Occurrence {
  return {
    statement,
    finding: { reason: "value", explanation: "A value differs.", statement: 0, ...finding },
    atMs,
    exchange: undefined,
    settled: "The primary agreed with itself, and the shadow still differed.",
  };
}
