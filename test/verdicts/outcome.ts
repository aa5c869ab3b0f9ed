import type { Mirrored } from "../mirror/mirrored.ts";
import { until } from "../mirror/mirrored.ts";

/** What became of one exchange, in words: `match`, `divergent text_value`, `skipped session`, … */
export type Outcome =
  | "match"
  | `divergent ${string}`
  | `tolerated ${string}`
  | `incomparable ${string}`
  | `skipped ${string}`;

type Counts = Readonly<Record<string, number>>;

/** The parts of the JSON report that count. */
type Report = {
  readonly totals: {
    readonly match: number;
    readonly skipped: Counts;
    readonly incomparable: Counts;
    readonly toleratedReasons: Counts;
  };
  readonly divergences: readonly { readonly reason: string; readonly count: number }[];
};

/**
 * Does something through Twinwire and reads off the counters what became of it. Every statement lands in exactly one
 * of them: what is in none has vanished, and this fails.
 * @returns the outcomes that counted one more than before, sorted
 */
export async function outcomesOf(
  twinwire: Mirrored,
  act: () => Promise<unknown>,
): Promise<readonly string[]> {
  const before = await tally(twinwire);
  await act();
  return until("the outcome of an exchange", async () => {
    await twinwire.judged();
    const after = await tally(twinwire);
    const grown = [...after].flatMap(([outcome, count]) =>
      count > (before.get(outcome) ?? 0) ? [outcome] : [],
    );
    return grown.length === 0 ? undefined : grown.toSorted();
  });
}

async function tally(twinwire: Mirrored): Promise<ReadonlyMap<string, number>> {
  const path = "/api/v1/migrations/shop/report?format=json";
  const { totals, divergences } = JSON.parse(await twinwire.api.getText(path)) as Report;
  const counts = new Map<string, number>([["match", totals.match]]);
  const add = (kind: string, reasons: Counts): void => {
    for (const [reason, count] of Object.entries(reasons)) counts.set(`${kind} ${reason}`, count);
  };
  add("skipped", totals.skipped);
  add("incomparable", totals.incomparable);
  add("tolerated", totals.toleratedReasons);
  for (const { reason, count } of divergences) {
    const outcome = `divergent ${reason}`;
    counts.set(outcome, (counts.get(outcome) ?? 0) + count);
  }
  return counts;
}
