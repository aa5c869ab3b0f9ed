import type { PgoutputRelation } from "../../wire/postgres/pgoutput-message.ts";
import type { SourceRelation } from "./source-transaction.ts";

/** By oid, as known at one place of the log. */
export type Relations = ReadonlyMap<number, SourceRelation>;

/** So many shapes of one table are kept apart: transactions under way may see several. */
const SHAPES_PER_TABLE = 8;

/** Gives relations that say the same the same object. */
export class RelationCache {
  readonly #shapes = new Map<number, SourceRelation[]>();
  /** As transactions that are not streamed see them. */
  current: Relations = new Map();

  intern(message: PgoutputRelation): SourceRelation {
    const shapes = this.#shapes.get(message.oid) ?? [];
    const known = shapes.find((shape) => isSame(shape, message));
    if (known !== undefined) return known;
    const { oid, schema, name, identity, columns } = message;
    const relation: SourceRelation = { oid, schema, name, identity, columns };
    this.#shapes.set(oid, [relation, ...shapes].slice(0, SHAPES_PER_TABLE));
    return relation;
  }

  /** From here on these are known. */
  learn(relations: Iterable<SourceRelation>): void {
    this.current = withRelations(this.current, relations);
  }
}

/** The same object where nothing of it changes. */
export function withRelations(known: Relations, added: Iterable<SourceRelation>): Relations {
  let next: Map<number, SourceRelation> | undefined;
  for (const relation of added) {
    if ((next ?? known).get(relation.oid) === relation) continue;
    next ??= new Map(known);
    next.set(relation.oid, relation);
  }
  return next ?? known;
}

function isSame(known: SourceRelation, message: PgoutputRelation): boolean {
  return (
    known.schema === message.schema &&
    known.name === message.name &&
    known.identity === message.identity &&
    known.columns.length === message.columns.length &&
    known.columns.every((column, index) => {
      const other = message.columns[index];
      return (
        other !== undefined &&
        column.name === other.name &&
        column.typeOid === other.typeOid &&
        column.typeModifier === other.typeModifier &&
        column.isKey === other.isKey
      );
    })
  );
}
