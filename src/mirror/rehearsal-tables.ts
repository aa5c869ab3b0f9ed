import type { FunctionCatalogue } from "../sql/analysis.ts";
import { noiseOfFunction } from "../sql/builtin-functions.ts";
import type { Statement } from "../sql/statement.ts";
import type { ColumnDefault, TableCatalogue, TableEntry } from "../upstream/table-catalogue.ts";
import { ANY_TABLE } from "./drifted-tables.ts";
import type { Scope } from "./table-activity.ts";

type Deps = {
  /** Both roles; undefined until it has been read. */
  readonly primary: () => TableCatalogue | undefined;
  readonly shadow: () => TableCatalogue | undefined;
  readonly functions: FunctionCatalogue;
};

type Index = {
  readonly byName: ReadonlyMap<string, readonly TableEntry[]>;
  readonly byOid: ReadonlyMap<number, TableEntry>;
};

const EMPTY: Index = { byName: new Map(), byOid: new Map() };

/** What the two sides' catalogues say of the statements that are rehearsed. */
export class RehearsalTables {
  readonly #deps: Deps;
  readonly #indexes = new WeakMap<TableCatalogue, Index>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** A constraint of the shadow may be checked at COMMIT only. */
  get defers(): boolean {
    return this.#deps.shadow()?.defers ?? true;
  }

  /** The tables on whose rows the answers depend: those named, and those that their foreign keys lead to. */
  scopeOf(statements: readonly Statement[]): Scope {
    const scope = new Set<string>();
    for (const statement of statements) {
      if (this.#readsUnnamed(statement)) return "everything";
      for (const name of statement.tables.map(bareName)) {
        if (!this.#isOrdinary(name)) return "everything";
        scope.add(name);
        for (const neighbour of this.#neighbours(name)) scope.add(neighbour);
      }
    }
    return scope;
  }

  /** The tables that may be other after them: `ANY_TABLE` where a trigger or an action may reach further. */
  writtenBy(statements: readonly Statement[]): readonly string[] {
    return statements.flatMap(({ kind, written }) => {
      // Row locks only.
      if (kind === "write" && written.length === 0) return [];
      const names = written.map(bareName);
      const isContained = names.every((name) => this.#isOrdinary(name) && !this.#cascades(name));
      return names.length > 0 && isContained ? names : [ANY_TABLE];
    });
  }

  /** An INSERT of given values into ordinary tables: no row that is there has a say in its answer. */
  isRowless(statement: Statement): boolean {
    const { normalised, tables, written } = statement;
    return (
      !this.#readsUnnamed(statement) &&
      PLAIN_INSERT.test(normalised) &&
      !ASKS_ROWS.test(normalised) &&
      tables.length === written.length &&
      written.every((name) => this.#isOrdinary(bareName(name)))
    );
  }

  /** The tables that they write are known, so that generated columns can be told from the others. */
  knowsWritten(statements: readonly Statement[]): boolean {
    return statements.every(({ written }) =>
      written.every((name) => {
        const entries = this.#entries(this.#shadow, bareName(name));
        return entries.length > 0 && entries.every(({ kind }) => kind === "r" || kind === "p");
      }),
    );
  }

  /** Policies of a table, which may read rows, can deny what they ask for. */
  guardsRows(statement: Statement): boolean {
    return [this.#primary, this.#shadow].some((index) =>
      statement.tables.some((name) =>
        this.#entries(index, bareName(name)).some(({ rowSecurity }) => rowSecurity),
      ),
    );
  }

  /** Triggers of both sides may give new rows values of their own. */
  triggersOnBoth(statements: readonly Statement[]): boolean {
    return statements.some(({ written }) =>
      written.some((name) =>
        [this.#primary, this.#shadow].every((index) =>
          this.#entries(index, bareName(name)).some(({ triggers }) => triggers),
        ),
      ),
    );
  }

  /** Tells the columns of the shadow that a new row gets by itself; undefined where there are none. */
  generatedBy(
    statements: readonly Statement[],
  ): ((tableOid: number, attribute: number) => boolean) | undefined {
    const columns = new Set<string>();
    for (const entry of this.#inserted(statements)) {
      for (const each of entry.defaults) {
        if (this.#isDrawn(each)) columns.add(`${entry.oid}.${each.attribute}`);
      }
    }
    if (columns.size === 0) return undefined;
    // An expression may be made of such a column.
    return (tableOid, attribute) => tableOid === 0 || columns.has(`${tableOid}.${attribute}`);
  }

  /** The shadow's sequences that new rows draw from. */
  sequencesOf(statements: readonly Statement[]): readonly string[] {
    const drawn = this.#inserted(statements).flatMap(({ defaults }) =>
      defaults.map(({ sequence }) => sequence),
    );
    return [...new Set(drawn.filter((sequence) => sequence !== undefined))];
  }

  /**
   * Whether a violated unique key of the shadow holds a value that its sequence gave.
   * @param key the index, as the error names it
   */
  isDrawnKey({ normalised, written }: Statement, key: string): boolean {
    const given = givenColumns(normalised);
    return written.some((name) =>
      this.#entries(this.#shadow, bareName(name)).some((entry) => {
        const unique = entry.uniqueKeys.find((candidate) => candidate.name === key);
        return entry.defaults.some(
          ({ attribute, column, sequence }) =>
            sequence !== undefined &&
            unique?.attributes.includes(attribute) === true &&
            !(given === "all" || given.has(column)),
        );
      }),
    );
  }

  get #primary(): Index {
    return this.#indexOf(this.#deps.primary());
  }

  get #shadow(): Index {
    return this.#indexOf(this.#deps.shadow());
  }

  #inserted(statements: readonly Statement[]): readonly TableEntry[] {
    return statements
      .filter(({ normalised }) => INSERTS.test(normalised))
      .flatMap(({ written }) => written)
      .flatMap((name) => this.#entries(this.#shadow, bareName(name)));
  }

  #isDrawn({ expression }: ColumnDefault): boolean {
    if (expression === undefined) return true;
    const words = expression.toLowerCase().replaceAll(LITERAL, "").match(WORD) ?? [];
    return words.some(
      (word) => noiseOfFunction(word) !== undefined || this.#deps.functions.isVolatile(word),
    );
  }

  /** Cursors read what they were declared for, functions what they like. */
  #readsUnnamed({ kind, functions }: Statement): boolean {
    if (kind === "cursor" || kind === "unparsable") return true;
    const { primary, shadow } = this.#deps;
    return functions.map(bareName).some((name) => {
      const known = [primary(), shadow()];
      return known.some((side) => side === undefined || side.scriptedFunctions.has(name));
    });
  }

  /** On both sides one table of this name, and nothing that reading or writing it spreads to. */
  #isOrdinary(name: string): boolean {
    return [this.#primary, this.#shadow].every((index) => {
      const [entry, another] = this.#entries(index, name);
      if (entry === undefined || another !== undefined) return false;
      return !entry.spread && !entry.triggers && !entry.rowSecurity;
    });
  }

  #cascades(name: string): boolean {
    return [this.#primary, this.#shadow].some((index) =>
      this.#entries(index, name).some(({ cascades }) => cascades),
    );
  }

  #neighbours(name: string): readonly string[] {
    return [this.#primary, this.#shadow].flatMap((index) =>
      this.#entries(index, name)
        .flatMap(({ neighbours }) => neighbours)
        .flatMap((oid) => index.byOid.get(oid)?.name ?? []),
    );
  }

  #entries({ byName }: Index, name: string): readonly TableEntry[] {
    return byName.get(name) ?? [];
  }

  #indexOf(catalogue: TableCatalogue | undefined): Index {
    if (catalogue === undefined) return EMPTY;
    const known = this.#indexes.get(catalogue);
    if (known !== undefined) return known;
    const byName = new Map<string, TableEntry[]>();
    for (const entry of catalogue.tables) {
      const same = byName.get(entry.name);
      if (same === undefined) byName.set(entry.name, [entry]);
      else same.push(entry);
    }
    const index = { byName, byOid: new Map(catalogue.tables.map((entry) => [entry.oid, entry])) };
    this.#indexes.set(catalogue, index);
    return index;
  }
}

const INSERTS = /\b(?:insert|merge)\b/i;
const PLAIN_INSERT = /^insert\b/i;
const ASKS_ROWS = /\b(?:select|table|with|on\s+conflict)\b/i;
const LITERAL = /'(?:[^']|'')*'/g;
const WORD = /[a-z_][a-z0-9_$]*/g;

/** The columns that an INSERT gives values for; DEFAULT among them may stand for any. */
function givenColumns(normalised: string): ReadonlySet<string> | "all" {
  if (/\bdefault\b/i.test(normalised)) return new Set();
  const list =
    /\binto\s+[^\s(]+(?:\s+as\s+[^\s(]+)?\s*\(([^()]*)\)\s*(?:overriding|values|select|with)\b/i;
  const columns = list.exec(normalised)?.[1];
  if (columns === undefined) return "all";
  return new Set(columns.split(",").map((column) => column.trim().replaceAll('"', "")));
}

/** Without its schema, since the search path decides which one an unqualified name means. */
function bareName(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
