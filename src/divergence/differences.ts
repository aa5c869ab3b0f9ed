import type { Clock } from "../base/clock.ts";
import type { CompareRule } from "../compare/rule.ts";
import type { EmbeddedDatabase, SqlRow } from "../control/embedded-database.ts";
import { storeSecret } from "../control/store-secret.ts";
import type { Statement } from "../sql/statement.ts";
import {
  byGravity,
  divergenceItem,
  type Group,
  type Groups,
  openGroups,
  stateOf,
} from "./groups.ts";
import type {
  DivergenceItem,
  DivergenceSample,
  DivergenceState,
  Page,
  PageRequest,
} from "./items.ts";
import { type KeptExchanges, openKeptExchanges } from "./kept-exchanges.ts";
import { openMask } from "./mask.ts";
import { pageOf } from "./page.ts";
import {
  type RecordedExchange,
  restoredExchange,
  type StoredExchange,
} from "./recorded-exchange.ts";
import type { Occurrence, Recorder } from "./recorder.ts";
import { DELETE_EXCHANGES, SELECT_DIVERGENCES, SELECT_EXCHANGES } from "./schema.ts";
import { restoredStanding } from "./standing.ts";

/** The differences found in one migration, and what people have said and done about them. */
export type Differences = Pick<Recorder, "divergent" | "unsettled" | "isConfirmed"> & {
  /** The gravest first; those in the state, `confirmed` unless given. */
  divergences(page: PageRequest, state?: DivergenceState | "all"): Page<DivergenceItem>;
  divergence(id: string): DivergenceItem | undefined;
  /** `confirmed` unless given. */
  divergenceCount(state?: DivergenceState): number;
  /** The last request in which the difference was seen, to ask again; undefined where it is not kept. */
  exchangeOf(id: string): RecordedExchange | undefined;
  /** What asking again on demand has said. A difference that was not seen again stays open. */
  askedAgain(id: string, confirmed: boolean, settled: string): void;
  /** The operator says that it was cured: it is open again when it is seen again. */
  closeDivergence(id: string): DivergenceItem | undefined;
  /** All rules in force from now on: what they cover is not open any more. */
  rule(rules: readonly CompareRule[]): void;
  /** How many differences this rule keeps from the open ones. */
  ruledBy(name: string): number;
};

export type DifferencesDeps = {
  readonly migration: string;
  /** Holds the tables of `DIVERGENCE_SCHEMA`. */
  readonly database: EmbeddedDatabase;
  readonly clock: Clock;
  /** For the key of the masks, made once for a store. */
  readonly randomBytes: (size: number) => Uint8Array;
  readonly samples: {
    readonly perDivergence: number;
    readonly reveal: readonly string[];
    /** Requests, with the customers' values in them, may be stored. */
    readonly storeRequests: boolean;
  };
  /** The statements that a stored exchange executes, in order. */
  readonly analyse: (exchange: StoredExchange) => readonly Statement[];
  /** Called with each divergence when it becomes an open one. */
  readonly onDivergence?: (item: DivergenceItem) => void;
  readonly maxDivergences?: number;
};

const MAX_DIVERGENCES = 1000;
const KEPT_LIMITS = { totalBytes: 32 * 1024 ** 2, exchangeBytes: 4 * 1024 ** 2 };

/** Loads what the store holds. What is to be stored of it is in `groups` and `kept`. */
export function openDifferences(deps: DifferencesDeps): {
  readonly groups: Groups;
  readonly kept: KeptExchanges;
  readonly differences: Differences;
} {
  const { migration, database, samples } = deps;
  const groups = openGroups({
    migration,
    rules: {
      mask: openMask(storeSecret(database, "mask", deps.randomBytes)),
      reveal: new Set(samples.reveal.map((column) => column.toLowerCase())),
    },
    samplesPerDivergence: samples.perDivergence,
    maxGroups: deps.maxDivergences ?? MAX_DIVERGENCES,
  });
  const kept = openKeptExchanges(KEPT_LIMITS, samples.storeRequests);
  for (const row of database.all(SELECT_DIVERGENCES, [migration])) groups.restore(groupOf(row));
  loadExchanges(deps, kept);
  return { groups, kept, differences: differencesIn(groups, kept, deps) };
}

function differencesIn(groups: Groups, kept: KeptExchanges, deps: DifferencesDeps): Differences {
  const { clock } = deps;
  const itemOf = (group: Group): DivergenceItem => divergenceItem(group, kept.repeatable(group.id));
  const record = (occurrence: Occurrence, confirmed: boolean): void => {
    const { group, news } = groups.add(occurrence, confirmed);
    kept.keep(group.id, occurrence.exchange);
    if (news) deps.onDivergence?.(itemOf(group));
  };
  return {
    divergent: (occurrence) => record(occurrence, true),
    unsettled: (occurrence) => record(occurrence, false),
    isConfirmed(statement, finding) {
      const group = groups.of(statement, finding);
      return group !== undefined && stateOf(group) === "confirmed";
    },
    divergences(page, state = "confirmed") {
      const those = [...groups.all()].filter(
        (group) => state === "all" || stateOf(group) === state,
      );
      const { items, next } = pageOf(those.sort(byGravity), page, ({ id }) => id);
      return { items: items.map(itemOf), next };
    },
    divergence(id) {
      const group = groups.byId(id);
      return group === undefined ? undefined : itemOf(group);
    },
    divergenceCount: (state = "confirmed") => groups.count(state),
    exchangeOf: (id) => kept.lastOf(id),
    askedAgain(id, confirmed, settled) {
      const group = groups.byId(id);
      if (group === undefined) return;
      const before = stateOf(group);
      groups.change(group, confirmed ? { settled, confirmed, aside: undefined } : { settled });
      if (confirmed && before !== "confirmed") deps.onDivergence?.(itemOf(group));
    },
    closeDivergence(id) {
      const group = groups.byId(id);
      if (group === undefined) return undefined;
      groups.change(group, { aside: { kind: "closed", atMs: clock.nowMs() } });
      return itemOf(group);
    },
    rule: (rules) => groups.rule(rules, clock.nowMs()),
    ruledBy(name) {
      let count = 0;
      for (const { standing } of groups.all()) {
        if (standing.aside?.kind === "ruled" && standing.aside.rule === name) count++;
      }
      return count;
    },
  };
}

/** What an earlier configuration allowed to be stored does not stay once it is not allowed any more. */
function loadExchanges(deps: DifferencesDeps, kept: KeptExchanges): void {
  const { database, migration, analyse, samples } = deps;
  if (!samples.storeRequests) {
    database.transaction("durable", () => database.run(DELETE_EXCHANGES, [migration]));
    return;
  }
  for (const row of database.all(SELECT_EXCHANGES, [migration])) {
    const exchange = restoredExchange(String(row["document"]));
    kept.restore(String(row["divergence"]), { ...exchange, statements: analyse(exchange) });
  }
}

function groupOf(row: SqlRow): Group {
  const column = row["column_name"];
  return {
    id: String(row["id"]),
    fingerprint: String(row["fingerprint"]),
    statement: String(row["statement"]),
    reason: String(row["reason"]),
    column: typeof column === "string" ? column : undefined,
    explanation: String(row["explanation"]),
    count: Number(row["count"]),
    firstSeenMs: Number(row["first_seen_ms"]),
    lastSeenMs: Number(row["last_seen_ms"]),
    samples: JSON.parse(String(row["samples"])) as readonly DivergenceSample[],
    standing: restoredStanding(String(row["standing"])),
    revision: 0,
    storedRevision: 0,
  };
}
