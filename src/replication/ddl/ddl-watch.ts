import { WorkError } from "../../upstream/work-error.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import type { MappingInput } from "../mapping/mapping-input.ts";
import { entryOf } from "../mapping/mapping-input.ts";
import type { TableMapping } from "../mapping/row-program.ts";
import type { SourceRelation } from "../source/source-transaction.ts";
import { tableKey } from "../table-shape.ts";
import { readDdlMessage } from "./event-trigger.ts";
import { changeSentence, changesOf, showsInRows } from "./table-changes.ts";
import type { TableChange } from "./table-changes.ts";
import { describeTables, fingerprintOf } from "./table-description.ts";
import type { TableDescription } from "./table-description.ts";
import { targetChangeOf } from "./target-change.ts";
import type { TargetChange } from "./target-change.ts";

export type DdlPolicy = "stop" | "additive" | "ignore";

export type DdlOutcome =
  | { readonly kind: "same" }
  /** Nothing may be applied any more, beginning with the transaction that this came with. */
  | { readonly kind: "stop"; readonly incident: DdlIncident }
  /** The target has been changed, or need not be: shapes and programs must be made anew before anything else is applied. */
  | { readonly kind: "applied"; readonly sentence: string; readonly sql: readonly string[] }
  /** Noted; programs should be made anew where they still can be. */
  | { readonly kind: "ignored"; readonly sentence: string }
  /** The catalogue has changed; the stream will stop, or go on, when it comes to the first row of the new shape. */
  | { readonly kind: "ahead"; readonly sentence: string };

/** Why the stream stopped, for the operator. */
export type DdlIncident = {
  /** Tables of the source, as `schema.name`. */
  readonly tables: readonly string[];
  /** What changed, as sentences without their full stop. */
  readonly changes: readonly string[];
  /** To be run on the target. */
  readonly sql: readonly string[];
  /** All of it: what changed, what to run, how to go on. */
  readonly sentence: string;
};

/** Notices that tables of one stream's source have changed. One call at a time. */
export type DdlWatch = {
  /** A message of the log, within its transaction or outside. */
  onMessage(prefix: string, content: Buffer): Promise<DdlOutcome>;
  /** undefined at once where the relation is as it was known, which is to be asked whenever the log describes one anew. */
  onRelation(relation: SourceRelation): Promise<DdlOutcome> | undefined;
  /** Looks at the catalogue: every few seconds, however the others do. */
  poll(): Promise<DdlOutcome>;
};

export type DdlWatchDeps = {
  readonly policy: DdlPolicy;
  readonly input: MappingInput;
  /** As they run in this direction: `forward` is the program that is applied. */
  readonly tables: readonly TableMapping[];
  /** In the source; undefined where tables need not be in one. */
  readonly publication: string | undefined;
  /** Neither is used by anybody else, and no transaction of ours that writes is open on the target during a call. */
  readonly source: WorkSession;
  readonly target: WorkSession;
  /** The first statement of a transaction that the opposite stream is to leave out. */
  readonly mark: string | undefined;
};

const SAME: DdlOutcome = { kind: "same" };

/** Nobody waits longer for a lock on the target than this. */
const LOCK_TIMEOUT = "10s";

/**
 * Takes the catalogue as it stands for what the programs were made of. A change that is still on its way through the log has
 * then happened already, and its rows are bound by their columns' names.
 */
export async function openDdlWatch(deps: DdlWatchDeps): Promise<DdlWatch> {
  const { source, publication, tables } = deps;
  const oids = tables.map((table) => table.forward.source.oid);
  let known = await describeTables(source, oids, publication);
  let fingerprint = await fingerprintOf(source, oids, publication);

  /** What has changed since, dealt with by the policy. */
  const look = async (occasion: Occasion): Promise<DdlOutcome> => {
    const now = await describeTables(source, oids, publication);
    const changed = tables.flatMap((mapping): ChangedTable[] => {
      const before = known.get(mapping.forward.source.oid);
      if (before === undefined) return [];
      const changes = changesOf(before, now.get(before.oid));
      return changes.length === 0 ? [] : [{ mapping, changes, now: now.get(before.oid) }];
    });
    const outcome = changed.length === 0 ? SAME : await decide(deps, changed, occasion);
    if (outcome.kind !== "stop" && outcome.kind !== "ahead") known = now;
    return outcome;
  };

  return {
    onMessage: async (prefix, content) => {
      const message = readDdlMessage(prefix, content);
      if (message === undefined) return SAME;
      const touched = [...message.tables, ...message.dropped];
      // A message that names no table is somebody's mistake, and cheap to look after.
      const concerns = touched.length === 0 || touched.some(({ oid }) => known.has(oid));
      const told = new Map(message.tables.map((table) => [table.oid, columnsText(table)]));
      const isInOrder = (now: TableDescription): boolean => told.get(now.oid) === columnsText(now);
      return concerns ? look({ mayWait: false, isInOrder }) : SAME;
    },
    onRelation: (relation) => {
      const before = known.get(relation.oid);
      if (before === undefined || isAsKnown(relation, before)) return undefined;
      const isInOrder = (now: TableDescription): boolean =>
        now.oid === relation.oid && isAsKnown(relation, now);
      return look({ mayWait: false, isInOrder });
    },
    poll: async () => {
      const now = await fingerprintOf(source, oids, publication);
      if (now === fingerprint) return SAME;
      const outcome = await look({ mayWait: true, isInOrder: () => false });
      if (outcome.kind !== "ahead" && outcome.kind !== "stop") fingerprint = now;
      return outcome;
    },
  };
}

/** Computed columns are not in the log before PostgreSQL 18, and there only where that is asked for. */
function isAsKnown(relation: SourceRelation, known: TableDescription): boolean {
  if (relation.schema !== known.schema || relation.name !== known.name) return false;
  const columns = known.columns.filter(({ generated }) => generated === "");
  const carried = relation.columns.filter(({ name }) =>
    known.columns.every((column) => column.name !== name || column.generated === ""),
  );
  const isFull = relation.identity === "full";
  return (
    isFull === (known.identity === "f") &&
    carried.length === columns.length &&
    carried.every((column, index) => {
      const other = columns[index];
      return (
        other !== undefined &&
        column.name === other.name &&
        column.typeOid === other.typeOid &&
        column.typeModifier === other.modifier &&
        (isFull || column.isKey === (known.key?.includes(column.name) ?? false))
      );
    })
  );
}

/** How it came that the catalogue is looked at. */
type Occasion = {
  /** The stream will come to rows of the new shape and notice by itself. */
  readonly mayWait: boolean;
  /** The stream stands exactly at the change that made the table what it is now. */
  readonly isInOrder: (now: TableDescription) => boolean;
};

function columnsText({ columns }: { readonly columns: TableDescription["columns"] }): string {
  return JSON.stringify(columns);
}

type ChangedTable = {
  readonly mapping: TableMapping;
  /** undefined: it is gone. */
  readonly now: TableDescription | undefined;
  readonly changes: readonly TableChange[];
};

type Finding = {
  readonly table: string;
  readonly change: TableChange;
  readonly sentence: string;
  readonly asks: TargetChange;
};

async function decide(
  deps: DdlWatchDeps,
  changed: readonly ChangedTable[],
  { mayWait, isInOrder }: Occasion,
): Promise<DdlOutcome> {
  const findings = changed.flatMap(({ mapping, changes, now }): Finding[] =>
    changes.map((change) => ({
      table: tableKey(mapping.source),
      change,
      sentence: changeSentence(tableKey(mapping.source), change),
      asks: targetChangeOf(
        change,
        mapping,
        entryOf(deps.input, mapping.source),
        now !== undefined && isInOrder(now),
      ),
    })),
  );
  // Rows that no log carries are lost, whatever is to be ignored.
  const isLoss = findings.some(
    ({ change }) => change.kind === "unlogged" || change.kind === "unpublished",
  );
  const isNothing = findings.every(({ asks }) => asks.isAdditive && asks.sql.length === 0);
  const sentence = `${listed(findings.map((each) => each.sentence))}.`;
  if (!isLoss && deps.policy === "ignore") return { kind: "ignored", sentence };
  if (isNothing) return { kind: "applied", sentence, sql: [] };
  if (mayWait && !isLoss && findings.some(({ change }) => showsInRows(change))) {
    return {
      kind: "ahead",
      sentence: `${sentence} The stream has not come to it yet.`,
    };
  }
  if (!isLoss && deps.policy === "additive" && findings.every(({ asks }) => asks.isAdditive)) {
    return await apply(deps, findings, sentence);
  }
  return { kind: "stop", incident: incidentOf(findings, undefined) };
}

async function apply(
  { target, mark }: DdlWatchDeps,
  findings: readonly Finding[],
  sentence: string,
): Promise<DdlOutcome> {
  const sql = findings.flatMap(({ asks }) => asks.sql);
  const marked = mark === undefined ? "" : `${mark};`;
  try {
    await target.execute(
      `BEGIN; ${marked} SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'; ${sql.join(" ")} COMMIT`,
    );
    return { kind: "applied", sentence, sql };
  } catch (error) {
    if (!(error instanceof WorkError)) throw error;
    if (!target.over) await target.execute("ROLLBACK");
    return { kind: "stop", incident: incidentOf(findings, error) };
  }
}

function incidentOf(findings: readonly Finding[], refusal: WorkError | undefined): DdlIncident {
  const sql = findings.flatMap(({ asks }) => asks.sql);
  const changes = findings.map(({ sentence }) => sentence);
  const advice = findings.flatMap(({ asks }) => asks.advice ?? []);
  const parts = [
    `The definition of what is copied has changed: ${listed(changes)}.`,
    refusal === undefined ? "" : `The target refused to follow: ${refusal.message}.`,
    sql.length === 0 ? "" : `Run on the target: ${sql.join(" ")}`,
    ...advice.map((each) => `${each.charAt(0).toUpperCase()}${each.slice(1)}.`),
    "Nothing of the new shape has been applied, and nothing is lost: go on with `twinwire replicate start`.",
  ];
  return {
    tables: [...new Set(findings.map(({ table }) => table))],
    changes,
    sql,
    sentence: parts.filter((part) => part !== "").join(" "),
  };
}

function listed(parts: readonly string[]): string {
  return parts.join("; ");
}
