import { createHash } from "node:crypto";
import { DIFFERENCE_REASONS } from "../compare/verdict.ts";
import { OTHER } from "./coverage-table.ts";
import type { DivergenceItem, DivergenceSample } from "./items.ts";
import type { Occurrence } from "./recorder.ts";
import { sampleOf, type SampleRules } from "./sample.ts";

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
  storedCount: number;
};

/** The divergences of a migration, bounded. */
export type Groups = {
  /** @returns the group, and whether it is new. */
  add(occurrence: Occurrence): { readonly group: Group; readonly isNew: boolean };
  restore(group: Group): void;
  all(): Iterable<Group>;
  readonly size: number;
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
  const find = (occurrence: Occurrence): { group: Group; isNew: boolean } => {
    const { statement, finding } = occurrence;
    const key = keyOf(statement.fingerprint, finding.reason, finding.column);
    const known = groups.get(key);
    if (known !== undefined) return { group: known, isNew: false };
    if (groups.size < deps.maxGroups) {
      return { group: newGroup(deps, groups, occurrence), isNew: true };
    }
    // Beyond the bound one group for each reason counts the rest, without a column or a text.
    const rest = groups.get(keyOf(OTHER, finding.reason, undefined));
    if (rest !== undefined) return { group: rest, isNew: false };
    return { group: newGroup(deps, groups, withoutPlace(occurrence)), isNew: true };
  };
  return {
    add(occurrence) {
      const found = find(occurrence);
      count(found.group, occurrence, deps);
      return found;
    },
    restore(group): void {
      groups.set(keyOf(group.fingerprint, group.reason, group.column), group);
    },
    all: () => groups.values(),
    get size() {
      return groups.size;
    },
  };
}

function newGroup(
  { migration }: GroupsDeps,
  groups: Map<string, Group>,
  { statement, finding, atMs }: Occurrence,
): Group {
  const { reason, column, explanation } = finding;
  const { fingerprint, normalised } = statement;
  const group: Group = {
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
    storedCount: 0,
  };
  groups.set(keyOf(fingerprint, reason, column), group);
  return group;
}

function count(group: Group, { statement, finding, atMs }: Occurrence, deps: GroupsDeps): void {
  group.count++;
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
export function divergenceItem(group: Group): DivergenceItem {
  const { id, fingerprint, statement, reason, column, explanation, samples } = group;
  return {
    id,
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
