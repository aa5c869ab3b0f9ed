import { ADVICE } from "../sql/relation-catalogue.ts";
import type { FingerprintItem } from "./items.ts";

/** A statement whose answer is up to the plan: a finding of its own, as the sides may agree today and differ tomorrow. */
export type LeftOpen = {
  readonly statement: string;
  readonly why: string;
  readonly seen: number;
  /** How often the sides did differ, and nothing followed from it. */
  readonly differed: number;
};

export function leftOpen(fingerprints: readonly FingerprintItem[]): readonly LeftOpen[] {
  const sentences: Readonly<Record<string, string>> = ADVICE;
  return fingerprints.flatMap(({ statement, seen, advice, incomparable }) =>
    advice.map((word) => ({
      statement,
      why: `${word}: ${sentences[word] ?? word}`,
      seen,
      differed: incomparable[word === "ties" ? "underspecified" : word] ?? 0,
    })),
  );
}
