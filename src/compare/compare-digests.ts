import type { Statement } from "../sql/statement.ts";
import { hasOneSpelling } from "./cells.ts";
import type { ColumnPair } from "./cells.ts";
import { compareKeys, compareRowSets } from "./compare-rows.ts";
import { newFinding } from "./explanation.ts";
import type { ResultDigest } from "./result-digest.ts";
import type { RowSets } from "./rows.ts";
import type { Verdict } from "./verdict.ts";

/**
 * Compares two results of which only digests and the first rows are left: equal digests match, and
 * where they differ the first rows may show why.
 */
export function compareFirstRows(
  sets: RowSets,
  [primary, shadow]: readonly [ResultDigest, ResultDigest],
  index: number,
  statement: Statement | undefined,
): Verdict {
  if (primary.rowCount !== shadow.rowCount) {
    const detail = `${primary.rowCount} on the primary, ${shadow.rowCount} on the shadow`;
    return divergent("row_count", index, detail);
  }
  const sameRows = primary.unordered === shadow.unordered;
  if (sameRows && primary.ordered === shadow.ordered) return { kind: "match" };
  const context = { index, statement, partial: false };
  const first = firstOfBoth(sets);
  const isFree = statement?.order.kind !== "keys";
  if (!sameRows) {
    const verdict = compareRowSets(first, context);
    return isFree ? judgeFree(verdict, sets.pairs, index) : judgeOrdered(verdict, index);
  }
  if (isFree) {
    return { kind: "tolerated", finding: newFinding("row_order_free", { statement: index }) };
  }
  return compareKeys(first, context) ?? UNSEEN;
}

/** The first rows say that spelling differs, or nothing; what comes after them was not seen. */
const UNSEEN: Verdict = { kind: "incomparable", reason: "large_result" };

function divergent(
  reason: "row_count" | "large_result",
  statement: number,
  detail?: string,
): Verdict {
  return { kind: "divergent", finding: newFinding(reason, { statement, detail }) };
}

function firstOfBoth({ pairs, primary, shadow }: RowSets): RowSets {
  const shown = Math.min(primary.length, shadow.length);
  return { pairs, primary: primary.slice(0, shown), shadow: shadow.slice(0, shown) };
}

function judgeOrdered(first: Verdict, index: number): Verdict {
  if (first.kind === "match") return divergent("large_result", index);
  if (first.kind !== "tolerated") return first;
  return first.finding.reason === "row_order_free" ? divergent("large_result", index) : UNSEEN;
}

/**
 * Without order the first rows of one side may be anywhere on the other: only rows that are alike
 * but for one value tell something, and digests only where values have one spelling.
 */
function judgeFree(first: Verdict, pairs: readonly ColumnPair[], index: number): Verdict {
  if (first.kind !== "divergent") return judgeOrdered(first, index);
  const isNamed = first.finding.column !== undefined && pairs.length > 1;
  if (isNamed) return first;
  return pairs.every(hasOneSpelling) ? divergent("large_result", index) : UNSEEN;
}
