/** A name as the catalogue holds it, unquoted. */
export type TableName = { readonly schema: string; readonly name: string };

/** A table of one side, as far as moving its rows is concerned. */
export type TableShape = TableName & {
  readonly oid: number;
  /** As in `pg_class.relkind`: `r` a table, `p` a partitioned one, which stands for its partitions. */
  readonly kind: "r" | "p";
  /** As in `pg_class.relpersistence`: `p` permanent, `u` unlogged, which no log carries. */
  readonly persistence: string;
  /** Those that exist, in the order of their numbers. */
  readonly columns: readonly ColumnShape[];
  /** Columns of the primary key in its order; empty without one. */
  readonly primaryKey: readonly string[];
  /** Columns by which the log names a row that is changed or deleted; all of them with `full`; empty with `nothing`, or `default` without a primary key. */
  readonly identity: readonly string[];
  readonly identityKind: "default" | "index" | "full" | "nothing";
  /** Unique keys beside the primary one, valid at every moment, for all rows and without expressions. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** It has unique indexes of any kind beside the primary key: rows of several snapshots may collide in them. */
  readonly otherUnique: boolean;
  /** Unique or exclusion constraints that may be checked at COMMIT only, by name. */
  readonly deferrable: readonly string[];
  /** Of `reltuples` and `relpages`, or the sum of the partitions'; an estimate. */
  readonly estimate: { readonly rows: number; readonly bytes: number };
};

export type ColumnShape = {
  readonly name: string;
  /** As `format_type` prints it with its modifier: `character varying(50)`. */
  readonly type: string;
  readonly typeOid: number;
  /** Without its modifier: `character varying`. */
  readonly typeName: string;
  /** Order and equality of its texts are those of their bytes. */
  readonly bytewise: boolean;
  readonly nullable: boolean;
  /** Computed by the table itself; never written. */
  readonly generated: boolean;
  /** As in `pg_attribute.attidentity`: `a` always, `d` by default. */
  readonly identity: "" | "a" | "d";
  readonly hasDefault: boolean;
};

/** For maps; unlike what SQL would need, not quoted. */
export function tableKey({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}

export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as SQL writes it, whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes("\\") ? `E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}

/** As SQL names it. */
export function quoteTable({ schema, name }: TableName): string {
  return `${quoteIdent(schema)}.${quoteIdent(name)}`;
}
