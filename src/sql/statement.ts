/**
 * What the proxy needs to know of one SQL statement. Derived from the parse tree once per shape of
 * the text and cached; shared between exchanges, so it is deeply read-only.
 */
export type Statement = {
  readonly kind: StatementKind;
  /**
   * `read` when the kind is, and for a text the parser refused when its words are those of a read:
   * a server of another version may well accept it.
   */
  readonly looksLike: "read" | "other";
  /** 16 hex digits; equal for statements that differ in literals only. */
  readonly fingerprint: string;
  /** The text with every literal replaced by `$n`: holds no customer value. At most 4 kB. */
  readonly normalised: string;
  /** Relations read or written, as written, lower-case unless quoted: `orders`, `public.orders`. */
  readonly tables: readonly string[];
  /** The part of `tables` that the statement writes. */
  readonly written: readonly string[];
  /** Functions called, as written: `now`, `pg_catalog.lower`. */
  readonly functions: readonly string[];
  /** What it does to the session or transaction once it succeeded. Empty for most. */
  readonly effects: readonly SessionEffect[];
  /** Why its answer may differ between two correct servers. Empty for most. */
  readonly noise: readonly Noise[];
  readonly order: RowOrder;
  /** Of PREPARE and DECLARE: the statement that EXECUTE and FETCH run. */
  readonly body?: Statement;
  /** Of a SELECT … LIMIT from one table. */
  readonly oneTable?: OneTable;
  /** Known with the catalogue only: rows with the same sort keys may stand at the edge of its LIMIT. */
  readonly ties?: boolean;
};

/**
 * The columns of the table that conditions make equal in all rows, and those that the rows are sorted by. If they hold a unique
 * key, the limit leaves nothing open.
 */
export type OneTable = {
  readonly table: string;
  readonly fixed: readonly string[];
  readonly sorted: readonly string[];
};

export type StatementKind =
  | "read"
  /**
   * INSERT, UPDATE, DELETE, MERGE, TRUNCATE, REFRESH MATERIALIZED VIEW, SELECT FOR UPDATE, SELECT
   * INTO, data-modifying WITH; also inside EXPLAIN ANALYZE, DECLARE and COPY; COPY FROM a file.
   */
  | "write"
  | "ddl"
  /** BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their kin. Without effects: COMMIT or ROLLBACK PREPARED. */
  | "transaction"
  /** SET, RESET, DISCARD, SHOW, SET CONSTRAINTS, set_config as the whole statement. */
  | "session"
  /** DECLARE, FETCH, MOVE, CLOSE. */
  | "cursor"
  | "copy_in"
  | "copy_out"
  /** LISTEN, UNLISTEN, NOTIFY. */
  | "notify"
  /** SQL-level PREPARE, EXECUTE, DEALLOCATE. */
  | "prepare"
  | "explain"
  /** VACUUM, LOCK, CALL, DO, CHECKPOINT, … */
  | "utility"
  | "empty"
  /** The parser refused it. A newer or older server may still accept it. */
  | "unparsable";

export type SessionEffect =
  | { readonly type: "begin"; readonly access: "read_only" | "read_write" | undefined }
  | { readonly type: "commit"; readonly chain: boolean }
  | { readonly type: "rollback"; readonly chain: boolean }
  | { readonly type: "savepoint"; readonly name: string }
  | { readonly type: "release"; readonly name: string }
  | { readonly type: "rollback_to"; readonly name: string }
  | { readonly type: "prepare_transaction" }
  /**
   * `sql` sets the same value in another session of the same settings: a complete SET, or SELECT
   * set_config(…). For transaction_read_only and its default it is `SET … TO on` or `SET … TO off`.
   */
  | { readonly type: "set"; readonly name: string; readonly local: boolean; readonly sql: string }
  /** set_config with a parameter or an expression: name or value are known to the server only. */
  | { readonly type: "set_unknown"; readonly name: string | undefined; readonly local: boolean }
  | { readonly type: "reset"; readonly name: string }
  | { readonly type: "reset_all" }
  | { readonly type: "discard"; readonly target: "all" | "plans" | "sequences" | "temp" }
  /** `sql` is the whole PREPARE statement. */
  | { readonly type: "prepare"; readonly name: string; readonly sql: string }
  /** No name: DEALLOCATE ALL. */
  | { readonly type: "deallocate"; readonly name: string | undefined }
  | { readonly type: "execute"; readonly name: string }
  | { readonly type: "listen"; readonly channel: string }
  /** No channel: UNLISTEN *. */
  | { readonly type: "unlisten"; readonly channel: string | undefined }
  | { readonly type: "declare_cursor"; readonly name: string; readonly hold: boolean }
  /** No name: CLOSE ALL. */
  | { readonly type: "close_cursor"; readonly name: string | undefined }
  | { readonly type: "temporary_table" }
  | { readonly type: "advisory_lock" };

/** A reason known from the SQL alone why two correct servers may answer differently. */
export type Noise =
  /** Depends on the clock: now(), current_date, 'now'::timestamp. */
  | "clock"
  /** random(), gen_random_uuid() and every function the catalogue calls volatile. */
  | "volatile"
  /** Reads what belongs to one server: ctid, xmin, pg_stat_*, pg_settings, oid values, version(). */
  | "server"
  | "explain"
  /**
   * LIMIT or OFFSET without ORDER BY, DISTINCT ON without ORDER BY, row_number() and its kin over a
   * window without ORDER BY, FETCH of a part of a cursor.
   */
  | "underspecified"
  /** array_agg, string_agg, json_agg, xmlagg without ORDER BY. */
  | "unordered_aggregate";

/** What the statement itself promises about the order of its rows. */
export type RowOrder =
  /** No ORDER BY: compare as a multiset. */
  | { readonly kind: "any" }
  /**
   * ORDER BY on these output columns (0-based): order matters on them, ties are free. Expressions
   * that are not in the output are left out and make `complete` false.
   */
  | {
      readonly kind: "keys";
      readonly columns: readonly number[];
      readonly complete: boolean;
      /** LIMIT or OFFSET: with ties at the edge the row set itself is not determined. */
      readonly limited: boolean;
      /**
       * Further keys, behind a `*`: names to be looked up among the columns of the answer, and only
       * good when one column alone has the name. `complete` is false with them.
       */
      readonly names?: readonly string[];
    };
