import type { Ask } from "../read-shapes.ts";
import type { ColumnShape, TableShape } from "../table-shape.ts";

/** A type as far as it matters whether another one reads its texts. */
export type TypeFact = {
  /** As `format_type` prints it with its modifier; of a domain what it is made of. */
  readonly type: string;
  /** Without its modifier. */
  readonly typeName: string;
  /** It stands for a domain, whose modifier it has. */
  readonly isDomain?: boolean | undefined;
  /** Of an enum, in its order. */
  readonly labels?: readonly string[] | undefined;
  /** Of a composite type its attributes, of a range its subtype, in words that are alike for types that are. */
  readonly definition?: string | undefined;
  /** Of an array. */
  readonly element?: TypeFact | undefined;
};

/** By the types' oids, of one database. */
export type TypeFacts = ReadonlyMap<number, TypeFact>;

/** Since PostgreSQL 9.4. Arrays' elements, and what domains are made of, are followed to their ends. */
const TYPES = `
  WITH RECURSIVE wanted AS (
    SELECT t.* FROM pg_catalog.pg_type AS t WHERE t.oid = ANY ($1::pg_catalog.oid[])
    UNION
    SELECT t.* FROM wanted AS w JOIN pg_catalog.pg_type AS t
      ON t.oid = CASE WHEN w.typtype = 'd' THEN w.typbasetype ELSE w.typelem END)
  SELECT t.oid, pg_catalog.format_type(t.oid, NULL), t.typtype,
    CASE WHEN t.typtype = 'd' THEN t.typbasetype END,
    CASE WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
    CASE WHEN t.typlen = -1 AND t.typelem <> 0 AND t.typtype <> 'd' THEN t.typelem END,
    CASE WHEN t.typtype = 'e' THEN (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)
      FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid) END,
    CASE t.typtype
      WHEN 'c' THEN (SELECT pg_catalog.string_agg(
          a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
      WHEN 'r' THEN (SELECT pg_catalog.format_type(r.rngsubtype, NULL)
        FROM pg_catalog.pg_range AS r WHERE r.rngtypid = t.oid) END
  FROM wanted AS t`;

/** What the columns of these tables are made of, where their names do not say it. */
export async function readTypeFacts(ask: Ask, tables: readonly TableShape[]): Promise<TypeFacts> {
  const oids = new Set(tables.flatMap((table) => table.columns.map(({ typeOid }) => typeOid)));
  const rows = new Map(
    (await ask(TYPES, [`{${[...oids].join(",")}}`])).map((row) => [row[0] ?? "", row] as const),
  );
  const factOf = (oid: string, type?: string | null): TypeFact | undefined => {
    const row = rows.get(oid);
    if (row === undefined) return undefined;
    const [, typeName, , base, baseType, element, labels, definition] = row;
    // A domain over a domain has the modifier of the innermost one that gives one.
    if (base) {
      const fact = factOf(base, type?.includes("(") === true ? type : baseType);
      return fact && { ...fact, isDomain: true };
    }
    return {
      type: type ?? typeName ?? "",
      typeName: typeName ?? "",
      labels: labels ? (JSON.parse(labels) as string[]) : undefined,
      definition: definition ?? undefined,
      element: element ? factOf(element) : undefined,
    };
  };
  const facts = [...oids].map((oid) => [oid, factOf(String(oid))] as const);
  return new Map(
    facts.flatMap(([oid, fact]) => (fact === undefined ? [] : [[oid, fact] as const])),
  );
}

/** What a column holds. Without facts its type's name is all there is. */
export function factOfColumn(facts: TypeFacts | undefined, column: ColumnShape): TypeFact {
  const { type, typeName } = column;
  const known = facts?.get(column.typeOid);
  if (known === undefined) return withElement({ type, typeName: plainName(typeName) });
  // The column's own modifier, unless its type is a domain, which has its own.
  return withElement(known.isDomain === true ? known : { ...known, type });
}

/** These two are named otherwise where a name without modifier must not mean one of a single character or bit. */
function plainName(typeName: string): string {
  if (typeName === "bpchar") return "character";
  return typeName === '"bit"' ? "bit" : typeName;
}

function withElement(fact: TypeFact): TypeFact {
  if (!fact.typeName.endsWith("[]")) return fact;
  const type = fact.type.slice(0, -2);
  const element = fact.element ?? { type, typeName: fact.typeName.slice(0, -2) };
  return { ...fact, element: { ...element, type: fact.type.endsWith("[]") ? type : element.type } };
}
