/** Gives Twinwire's divergences the names of the differences that are known between the two versions. */
import type { DivergenceItem } from "../../admin/ports.ts";
import { DIFFERENCES } from "./differences.ts";
import type { Difference } from "./differences.ts";

/** A known difference that Twinwire found, with what it reported: one item a reason and column. */
export type Found = { readonly difference: Difference; readonly items: readonly DivergenceItem[] };

export type Findings = {
  readonly found: readonly Found[];
  /** Divergences of statements that no known difference explains. */
  readonly unexplained: readonly DivergenceItem[];
};

/** @param fingerprintOf the fingerprint that Twinwire gives a statement. */
export function nameFindings(
  items: readonly DivergenceItem[],
  fingerprintOf: (statement: string) => string,
): Findings {
  const byFingerprint = new Map<string, DivergenceItem[]>();
  for (const item of items) {
    const group = byFingerprint.get(item.fingerprint);
    if (group === undefined) byFingerprint.set(item.fingerprint, [item]);
    else group.push(item);
  }
  const found = DIFFERENCES.flatMap((difference) => {
    const fingerprint = fingerprintOf(difference.statement);
    const own = byFingerprint.get(fingerprint);
    byFingerprint.delete(fingerprint);
    return own === undefined ? [] : [{ difference, items: own }];
  });
  return { found, unexplained: [...byFingerprint.values()].flat() };
}
