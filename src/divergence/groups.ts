import { createHash } from "node:crypto";
import type { CompareRule } from "../compare/rule.ts";
import { DIFFERENCE_REASONS, type Finding } from "../compare/verdict.ts";
import type { Statement } from "../sql/statement.ts";
import { OTHER } from "./coverage-table.ts";
import type { DivergenceItem, DivergenceSample, DivergenceState } from "./items.ts";
import type { Occurrence } from "./recorder.ts";
import { coversGroup, markOf } from "./rule-cover.ts";
import { sampleOf, type SampleRules } from "./sample.ts";
import type { Standing } from "./standing.ts";

/** All occurrences of one fingerprint, reason and column. */
export type Group = {
  readonly id: string;
  readonly fingerprint: string;
  readonly statement: string;
  readonly reason: string;
  readonly column: string | undefined;
  readonly explanation: string;
  count: number;
  readonly firstSeenMs: number;
  lastSeenMs: number;
  samples: readonly DivergenceSample[];
  standing: Standing;
  /** Grows with every change. */
  revision: number;
  storedRevision: number;
};

/** The divergences of a migration, bounded. */
export type Groups = {
  /** @returns the group, and whether it became one of the open confirmed ones by this. */
  add(
    occurrence: Occurrence,
    confirmed: boolean,
  ): { readonly group: Group; readonly news: boolean };
  restore(group: Group): void;
  /** The group of a difference, as far as it has one of its own. */
  of(statement: Statement, finding: Finding): Group | undefined;
  byId(id: string): Group | undefined;
  all(): Iterable<Group>;
  /** How many are in this state. */
  count(state: DivergenceState): number;
  change(group: Group, standing: Partial<Standing>): void;
  /** Sets aside what the rules cover from now on, and opens again what only rules kept aside. */
  rule(rules: readonly CompareRule[], atMs: number): void;
};

export type GroupsDeps = {
  readonly migration: string;
  readonly rules: SampleRules;
  readonly samplesPerDivergence: number;
  readonly maxGroups: number;
};

/**
 * Samples are looked for among the first so many occurrences: a divergence that comes with every
 * query must not cost a hash each time.
 */
const SAMPLED_OCCURRENCES = 200;

export function openGroups(deps: GroupsDeps): Groups {
  const groups = new Map<string, Group>();
  const ids = new Map<string, Group>();
  let rules: readonly RuleInForce[] = [];
  const keep = (group: Group): Group => {
    groups.set(keyOf(group.fingerprint, group.reason, group.column), group);
    ids.set(group.id, group);
    return group;
  };
  const find = (occurrence: Occurrence): Group => {
    const { statement, finding } = occurrence;
    const known = groups.get(keyOf(statement.fingerprint, finding.reason, finding.column));
    if (known !== undefined) return known;
    if (groups.size < deps.maxGroups) return keep(newGroup(deps, occurrence));
    // Beyond the bound one group for each reason counts the rest, without a column or a text.
    const rest = groups.get(keyOf(OTHER, finding.reason, undefined));
    return rest ?? keep(newGroup(deps, withoutPlace(occurrence)));
  };
  return {
    add(occurrence, confirmed) {
      const group = find(occurrence);
      const before = stateOf(group);
      count(group, occurrence, deps);
      const isNew = group.count === 1;
      // A group that is confirmed and open stays as it is: that is the busy path.
      if (isNew || before !== "confirmed")
        group.standing = stood(group, occurrence, confirmed, rules);
      else group.standing = movedOn(group.standing, occurrence);
      return { group, news: stateOf(group) === "confirmed" && (isNew || before !== "confirmed") };
    },
    restore: (group) => void keep(group),
    of: ({ fingerprint }, { reason, column }) => groups.get(keyOf(fingerprint, reason, column)),
    byId: (id) => ids.get(id),
    all: () => groups.values(),
    count(state) {
      let number = 0;
      for (const group of groups.values()) if (stateOf(group) === state) number++;
      return number;
    },
    change,
    rule(next, atMs) {
      rules = inForce(next, rules, atMs);
      for (const group of groups.values()) {
        const aside = asideUnder(group, group.standing, rules);
        if (aside !== group.standing.aside) change(group, { aside });
      }
    },
  };
}

type RuleInForce = { readonly rule: CompareRule; readonly mark: string; readonly sinceMs: number };

function inForce(
  rules: readonly CompareRule[],
  before: readonly RuleInForce[],
  atMs: number,
): readonly RuleInForce[] {
  return rules.map((rule) => {
    const mark = markOf(rule);
    const sinceMs = before.find((other) => other.mark === mark)?.sinceMs ?? atMs;
    return { rule, mark, sinceMs };
  });
}

function change(group: Group, standing: Partial<Standing>): void {
  group.standing = { ...group.standing, ...standing };
  group.revision++;
}

export function stateOf({ standing }: Group): DivergenceState {
  const { aside, confirmed } = standing;
  return aside?.kind ?? (confirmed ? "confirmed" : "unsettled");
}

/**
 * What an occurrence makes of a group that was new, unsettled or set aside. One that was seen before
 * the group was set aside, or before a rule was in force, says nothing about that.
 */
function stood(
  group: Group,
  occurrence: Occurrence,
  confirmed: boolean,
  rules: readonly RuleInForce[],
): Standing {
  const standing = movedOn(group.standing, occurrence);
  const { aside } = standing;
  if (aside !== undefined && occurrence.atMs <= aside.atMs) return standing;
  // A rule that was in force when the difference was seen does not cover it, whatever it says.
  const escaped = rules
    .filter(({ rule, sinceMs }) => occurrence.atMs > sinceMs && coversGroup(rule, coveredOf(group)))
    .map(({ mark }) => mark);
  const next: Standing = {
    ...standing,
    // Once confirmed, the difference stays so until it is set aside: it was real.
    confirmed: confirmed || (standing.confirmed && aside === undefined),
    settled:
      standing.confirmed && !confirmed && aside === undefined
        ? standing.settled
        : occurrence.settled,
    aside: undefined,
    escaped: [...new Set([...standing.escaped, ...escaped])],
  };
  return { ...next, aside: asideUnder(group, next, rules) };
}

function movedOn(standing: Standing, { exchange }: Occurrence): Standing {
  const positions = exchange?.positions;
  if (positions === undefined) return standing;
  const { primary, shadow } = standing.positions;
  if (positions.primary === primary && positions.shadow === shadow) return standing;
  return { ...standing, positions };
}

function asideUnder(
  group: Group,
  { aside, escaped }: Standing,
  rules: readonly RuleInForce[],
): Standing["aside"] {
  if (aside?.kind === "closed") return aside;
  if (aside !== undefined && rules.some(({ mark }) => mark === aside.mark)) return aside;
  const covering = rules.find(
    ({ rule, mark }) => !escaped.includes(mark) && coversGroup(rule, coveredOf(group)),
  );
  if (covering === undefined) return undefined;
  const { rule, mark, sinceMs } = covering;
  return { kind: "ruled", rule: rule.name, mark, atMs: sinceMs };
}

function coveredOf({ fingerprint, reason, column, standing }: Group) {
  return { fingerprint, reason, column, tables: standing.tables };
}

function newGroup(
  { migration }: GroupsDeps,
  { statement, finding, atMs, settled }: Occurrence,
): Group {
  const { reason, column, explanation } = finding;
  const { fingerprint, normalised } = statement;
  return {
    id: idOf([migration, fingerprint, reason, column ?? ""]),
    fingerprint,
    statement: normalised,
    reason,
    column,
    explanation,
    count: 0,
    firstSeenMs: atMs,
    lastSeenMs: atMs,
    samples: [],
    standing: {
      confirmed: false,
      settled,
      aside: undefined,
      escaped: [],
      tables: fingerprint === OTHER ? [] : statement.tables,
      positions: { primary: null, shadow: null },
    },
    revision: 0,
    storedRevision: 0,
  };
}

function count(group: Group, { statement, finding, atMs }: Occurrence, deps: GroupsDeps): void {
  group.count++;
  group.revision++;
  group.lastSeenMs = Math.max(group.lastSeenMs, atMs);
  if (group.samples.length >= deps.samplesPerDivergence) return;
  if (group.count > SAMPLED_OCCURRENCES || group.fingerprint === OTHER) return;
  const sample = sampleOf(finding, statement, atMs, deps.rules);
  const isKnown = group.samples.some(
    ({ primary, shadow }) => primary === sample.primary && shadow === sample.shadow,
  );
  if (!isKnown) group.samples = [...group.samples, sample];
}

function withoutPlace(occurrence: Occurrence): Occurrence {
  const { reason } = occurrence.finding;
  const normalised = "further divergences of this reason, counted together";
  const sentence = DIFFERENCE_REASONS[reason];
  return {
    ...occurrence,
    statement: { ...occurrence.statement, fingerprint: OTHER, normalised },
    finding: { reason, explanation: sentence, statement: 0 },
  };
}

function keyOf(fingerprint: string, reason: string, column: string | undefined): string {
  return `${fingerprint} ${reason} ${column ?? ""}`;
}

function idOf(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 10);
}

const GRAVITY: ReadonlyMap<string, number> = new Map(
  Object.keys(DIFFERENCE_REASONS).map((reason, index) => [reason, index]),
);

/** The gravest first; among equals the one that is known longest. Stable while counts grow. */
export function byGravity(a: Group, b: Group): number {
  const gravity = (GRAVITY.get(a.reason) ?? Infinity) - (GRAVITY.get(b.reason) ?? Infinity);
  if (gravity !== 0 && !Number.isNaN(gravity)) return gravity;
  return a.firstSeenMs - b.firstSeenMs || (a.id < b.id ? -1 : 1);
}

/** A group in the shape of the public interface. */
export function divergenceItem(
  group: Group,
  repeatable: DivergenceItem["repeatable"],
): DivergenceItem {
  const { id, fingerprint, statement, reason, column, explanation, samples, standing } = group;
  return {
    id,
    state: stateOf(group),
    settled: settledSentence(standing),
    repeatable,
    positions: standing.positions,
    fingerprint,
    statement,
    reason,
    explanation,
    ...(column === undefined ? {} : { column }),
    count: group.count,
    firstSeen: new Date(group.firstSeenMs).toISOString(),
    lastSeen: new Date(group.lastSeenMs).toISOString(),
    samples,
  };
}

function settledSentence({ settled, aside }: Standing): string {
  if (aside === undefined) return settled;
  const at = new Date(aside.atMs).toISOString();
  const done =
    aside.kind === "ruled"
      ? `Covered by the rule "${aside.rule}" since ${at}.`
      : `Closed by the operator at ${at}.`;
  return settled === "" ? done : `${settled} ${done}`;
}
