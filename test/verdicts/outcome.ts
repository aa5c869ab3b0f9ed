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

/** Reads off the counters what becomes of what is done through Twinwire. */
export type Outcomes = {
  /**
   * Does something and says what counted one more than before, sorted. Every statement lands in exactly one counter:
   * what is in none has vanished, and this fails.
   */
  of(act: () => Promise<unknown>): Promise<readonly string[]>;
  /** Does something of which the outcome does not matter. */
  aside(act: () => Promise<unknown>): Promise<void>;
};

export async function openOutcomes(twinwire: Mirrored): Promise<Outcomes> {
  let counted = await tally(twinwire);
  return {
    of: async (act) => {
      await act();
      return until("the outcome of an exchange", async () => {
        await twinwire.judged();
        const before = counted;
        counted = await tally(twinwire);
        const grown = [...counted].flatMap(([outcome, count]) =>
          count > (before.get(outcome) ?? 0) ? [outcome] : [],
        );
        return grown.length === 0 ? undefined : grown.toSorted();
      });
    },
    aside: async (act) => {
      await act();
      await twinwire.judged();
      counted = await tally(twinwire);
    },
  };
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
