import type { Verb } from "./attempt.ts";

/** What is known of a migration now, gathered by the composition root. */
export type ReadinessFacts = {
  readonly shadow: {
    readonly enabled: boolean;
    readonly state: "off" | "connecting" | "on" | "down";
  };
  /** The side that would become the primary. `detail` says why it is not reachable. */
  readonly target: { readonly reachable: boolean; readonly detail: string };
  readonly statements: {
    readonly seen: number;
    readonly compared: number;
    /** Those whose answers could have been compared: all but what no shadow may be asked. */
    readonly comparable: number;
  };
  /** Confirmed, and neither closed nor covered by a rule. */
  readonly openDivergences: number;
  /** Differences that asking again could neither confirm nor dispel. */
  readonly unsettled: number;
  /** Statements that are slower on NEW. */
  readonly degraded: number;
  readonly bars: GuardBars;
  readonly driftedTables: readonly string[];
  /** Sessions that would be ended by the move, by reason. */
  readonly pinnedSessions: Readonly<Record<string, number>>;
  readonly replicationManaged: boolean;
};

/** What the configuration asks for; undefined where any number will do. */
export type GuardBars = {
  /** Share of the comparable statements; with 0 any that is above 0. */
  readonly minCompared: number;
  readonly maxDivergences: number;
  readonly maxUnsettled: number | undefined;
  readonly maxDegraded: number | undefined;
};

/** One condition of a switch, shown and checked. `cure` says what to do about it. */
export type Guard = {
  readonly name: string;
  readonly ok: boolean;
  readonly value: string;
  readonly limit: string;
  readonly cure: string;
};

export type Readiness = { readonly ready: boolean; readonly guards: readonly Guard[] };

/** Every guard with its value; `ready` when all hold. */
export function readiness(facts: ReadinessFacts): Readiness {
  const guards = [
    targetReachable(facts),
    shadowState(facts),
    trafficCompared(facts),
    openDivergences(facts),
    unsettledDifferences(facts),
    degradedStatements(facts),
    driftedTables(facts),
    pinnedSessions(facts),
    replication(facts),
  ];
  return { ready: guards.every((guard) => guard.ok), guards };
}

/**
 * A cutover needs every guard. Going back must stay possible on a bad day, so a rollback is stopped
 * only by what would lose answers or writes. `route` is the operator's own decision.
 */
const GUARDS_OF_VERB: Partial<Record<Verb, readonly string[]>> = {
  route: ["target_reachable", "replication"],
  rollback: ["target_reachable", "drifted_tables", "replication"],
};

/** The guards that refuse this verb now; empty when it may go on. */
export function refusing(verb: Verb, facts: ReadinessFacts): readonly Guard[] {
  const asked = GUARDS_OF_VERB[verb];
  return readiness(facts).guards.filter(
    (guard) => !guard.ok && (asked === undefined || asked.includes(guard.name)),
  );
}

function targetReachable({ target }: ReadinessFacts): Guard {
  return {
    name: "target_reachable",
    ok: target.reachable,
    value: target.reachable ? "yes" : `no: ${target.detail}`,
    limit: "yes",
    cure: "Start the database that is to become the primary and see that Twinwire can log in to it.",
  };
}

function shadowState({ shadow }: ReadinessFacts): Guard {
  return {
    name: "shadow_state",
    ok: shadow.enabled && shadow.state === "on",
    value: shadow.enabled ? shadow.state : "off",
    limit: "on",
    cure: "Switch the shadow on and wait until it is connected, so that the target is seen under real traffic.",
  };
}

/** Nothing compared at all is a refusal whatever the bar. */
function trafficCompared({ statements, bars }: ReadinessFacts): Guard {
  const { seen, compared, comparable } = statements;
  return {
    name: "traffic_compared",
    ok: compared > 0 && compared >= bars.minCompared * comparable,
    value: `${percentOf(compared, comparable)} of what can be (${compared} of ${comparable} statements), ${percentOf(compared, seen)} of all ${seen}`,
    limit: bars.minCompared === 0 ? "more than 0 %" : `at least ${percentOf(bars.minCompared, 1)}`,
    cure: "Let the application run with the shadow on, and read in the report why statements were not compared.",
  };
}

/** Rounded down, so that 100 % means all. */
function percentOf(part: number, whole: number): string {
  return `${whole === 0 ? 0 : Math.floor((part / whole) * 1000 + 1e-6) / 10} %`;
}

function openDivergences({ openDivergences: open, bars }: ReadinessFacts): Guard {
  return {
    name: "open_divergences",
    ok: open <= bars.maxDivergences,
    value: String(open),
    limit: String(bars.maxDivergences),
    cure: "Look at each divergence; correct it and close it, or make a rule of it that says why it is fine.",
  };
}

function unsettledDifferences({ unsettled, bars: { maxUnsettled } }: ReadinessFacts): Guard {
  return {
    name: "unsettled_differences",
    ok: unsettled <= (maxUnsettled ?? Infinity),
    value: String(unsettled),
    limit: maxUnsettled === undefined ? "any" : String(maxUnsettled),
    cure: "See with `twinwire divergences --state unsettled` why they could not be asked for again, and recheck them one by one.",
  };
}

function degradedStatements({ degraded, bars: { maxDegraded } }: ReadinessFacts): Guard {
  return {
    name: "degraded_statements",
    ok: degraded <= (maxDegraded ?? Infinity),
    value: String(degraded),
    limit: maxDegraded === undefined ? "any" : String(maxDegraded),
    cure: "The report names the statements that are slower on NEW, with both plans: look for a missing index or statistics.",
  };
}

function driftedTables({ driftedTables: tables }: ReadinessFacts): Guard {
  const named = tables.slice(0, 5).join(", ");
  const more = tables.length > 5 ? ` and ${tables.length - 5} more` : "";
  return {
    name: "drifted_tables",
    ok: tables.length === 0,
    value: tables.length === 0 ? "none" : `${named}${more}`,
    limit: "none",
    cure: "A write was lost in these tables: bring them in step again before the traffic goes there.",
  };
}

function pinnedSessions(facts: ReadinessFacts): Guard {
  const entries = Object.entries(facts.pinnedSessions).filter(([, count]) => count > 0);
  return {
    name: "pinned_sessions",
    ok: true,
    value:
      entries.length === 0
        ? "0"
        : entries.map(([reason, count]) => `${reason} ${count}`).join(", "),
    limit: "any",
    cure: "For information: these sessions cannot move and are ended with 57P01; their clients must reconnect.",
  };
}

/**
 * Whoever replicates elsewhere has to see to it himself. What Twinwire replicates could be written on both sides by a plain switch,
 * which neither closes the one side nor waits for the other.
 */
function replication({ replicationManaged }: ReadinessFacts): Guard {
  return {
    name: "replication",
    ok: !replicationManaged,
    value: replicationManaged ? "by Twinwire" : "by someone else",
    limit: "by someone else",
    cure: replicationManaged
      ? "This version does not yet switch a migration that it replicates by itself: it would have to fence the one side and drain the log first."
      : "For information: Twinwire cannot see whether the target holds every write; make sure of it before switching.",
  };
}
