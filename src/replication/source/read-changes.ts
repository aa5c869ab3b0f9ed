import { CodedError } from "../../base/errors.ts";
import { decodePgoutput } from "../../wire/postgres/pgoutput.ts";
import type { PgoutputMessage, PgoutputTuple } from "../../wire/postgres/pgoutput-message.ts";
import { UNCHANGED } from "../../wire/postgres/pgoutput-message.ts";
import { OWN_SCHEMA } from "../names.ts";
import { recordsOf } from "./change-log.ts";
import type { Relations } from "./relation-cache.ts";
import { withRelations } from "./relation-cache.ts";
import type { SourceChange, SourceRelation, SourceRow } from "./source-transaction.ts";

/** What is needed to read a transaction's messages. */
export type ChangeContext = {
  /** Of the top-level transaction. */
  readonly xid: number;
  /** The messages carry numbers of subtransactions. */
  readonly streamed: boolean;
  /** As known when it began. */
  readonly relations: Relations;
  /** What its own Relation messages say, in their order. */
  readonly added: readonly SourceRelation[];
};

/** Reads blocks of one transaction, in their order. */
export class ChangeReader {
  readonly #context: ChangeContext;
  #relations: Relations;
  #nextAdded = 0;

  constructor(context: ChangeContext) {
    this.#context = context;
    this.#relations = context.relations;
  }

  /** @throws CodedError protocol_violation */
  read(block: Buffer): SourceChange[] {
    const changes: SourceChange[] = [];
    for (const [start, end] of recordsOf(block)) {
      const message = decodePgoutput(block, start, end, this.#context.streamed);
      const change = this.#changeOf(message);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  }

  #changeOf(message: PgoutputMessage): SourceChange | undefined {
    const { xid } = this.#context;
    switch (message.type) {
      case "relation": {
        const relation = this.#context.added[this.#nextAdded++];
        if (relation !== undefined) this.#relations = withRelations(this.#relations, [relation]);
        return undefined;
      }
      case "insert": {
        const relation = this.#relation(message.relationOid);
        if (isProgress(relation)) return undefined;
        return { kind: "insert", relation, row: checked(message.row, relation), xid };
      }
      case "update": {
        const relation = this.#relation(message.relationOid);
        if (isProgress(relation)) return undefined;
        const before = message.before === undefined ? undefined : checked(message.before, relation);
        const row = checked(message.row, relation);
        const filled = message.beforeIs === "full" ? filledFrom(row, before) : row;
        return { kind: "update", relation, before, row: filled, xid };
      }
      case "delete": {
        const relation = this.#relation(message.relationOid);
        if (isProgress(relation)) return undefined;
        return { kind: "delete", relation, before: checked(message.before, relation), xid };
      }
      case "truncate": {
        const { cascade, restartIdentity } = message;
        const all = message.relationOids.map((oid) => this.#relation(oid));
        const relations = all.filter((relation) => !isProgress(relation));
        if (relations.length === 0) return undefined;
        return { kind: "truncate", relations, cascade, restartIdentity, xid };
      }
      case "message":
        return { kind: "message", prefix: message.prefix, content: message.content };
      default:
        return undefined;
    }
  }

  #relation(oid: number): SourceRelation {
    return relationIn(this.#relations, oid);
  }
}

/** @throws CodedError protocol_violation */
export function relationIn(relations: Relations, oid: number): SourceRelation {
  const relation = relations.get(oid);
  if (relation === undefined) {
    throw new CodedError("protocol_violation", "The source changed a table it did not describe.");
  }
  return relation;
}

/** How far other streams are is nobody's business but theirs. */
export function isProgress({ schema, name }: SourceRelation): boolean {
  return schema === OWN_SCHEMA && name === "progress";
}

function checked(row: PgoutputTuple, relation: SourceRelation): SourceRow {
  if (row.length === relation.columns.length) return row;
  const what = `${row.length} values for ${relation.columns.length} columns of a table`;
  throw new CodedError("protocol_violation", `The replication stream is malformed: ${what}.`);
}

/** A whole old row has the values that are not repeated. */
function filledFrom(row: SourceRow, before: SourceRow | undefined): SourceRow {
  if (before === undefined || !row.includes(UNCHANGED)) return row;
  return row.map((value, index) => (value === UNCHANGED ? (before[index] ?? null) : value));
}
