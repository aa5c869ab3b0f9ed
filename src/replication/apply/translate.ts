import type { BoundProgram, RowProgram } from "../mapping/row-program.ts";
import type { ChunkRouter, Routed } from "../snapshot/chunk-router.ts";
import { UNCHANGED } from "../source/source-transaction.ts";
import type { SourceChange, SourceRelation, SourceRow } from "../source/source-transaction.ts";
import { tableKey } from "../table-shape.ts";
import { ApplyIncident } from "./row-writer.ts";
import type { RowChange } from "./row-writer.ts";

export type RowOfSource = Exclude<SourceChange, { kind: "truncate" | "message" }>;
type Insert = Extract<RowOfSource, { kind: "insert" }>;
type Delete = Extract<RowOfSource, { kind: "delete" }>;
type Update = Extract<RowOfSource, { kind: "update" }>;

/**
 * The row that has the key of `row`, as the source has it now: a value or null for each of the relation's columns; undefined
 * when it is gone.
 */
export type FetchRow = (relation: SourceRelation, row: SourceRow) => Promise<SourceRow | undefined>;

export type TranslateDeps = {
  /** undefined for tables that do not travel. */
  readonly programOf: (relation: SourceRelation) => BoundProgram | undefined;
  readonly router: ChunkRouter | undefined;
  readonly fetchRow: FetchRow;
};

/**
 * What becomes of changes of the source in the target.
 *
 * A row that has to be inserted because its key moved from where the target does not have it yet may come without some
 * values, which the log does not repeat. They are fetched as they are now: whatever happened to the row since then follows
 * in the log and ends in the same state. When the row is gone, its end or its next key follows too; until then it stands
 * with NULL, and is `incomplete`: a change of its key fetches again.
 */
export class Translator {
  readonly #deps: TranslateDeps;
  readonly #bound = new WeakMap<SourceRelation, { readonly program: BoundProgram | undefined }>();
  readonly #incomplete = new Set<string>();

  constructor(deps: TranslateDeps) {
    this.#deps = deps;
  }

  boundOf(relation: SourceRelation): BoundProgram | undefined {
    let known = this.#bound.get(relation);
    if (known === undefined) {
      known = { program: this.#deps.programOf(relation) };
      this.#bound.set(relation, known);
    }
    return known.program;
  }

  /** @returns whether the truncation is to be repeated in the target */
  async truncates(program: RowProgram, xid: number): Promise<boolean> {
    const router = this.#routerOf(program);
    return router === undefined || (await router.routeTruncate(program, xid)) === "apply";
  }

  /**
   * Appends a whole batch to `into` where nobody has to be asked and all are rows.
   * @returns false otherwise; what was appended then is not to be used
   */
  translateAtOnce(batch: readonly SourceChange[], into: RowChange[]): boolean {
    for (const change of batch) {
      if (change.kind === "truncate" || change.kind === "message") return false;
      const bound = this.boundOf(change.relation);
      if (bound === undefined) continue;
      if (this.#needsCare(bound)) return false;
      into.push(plain(bound, change));
    }
    return true;
  }

  /** Appends to `into`. A promise only where the router or the source has to be asked. @throws ApplyIncident */
  translate(change: RowOfSource, into: RowChange[]): Promise<void> | undefined {
    const bound = this.boundOf(change.relation);
    if (bound === undefined) return undefined;
    if (this.#needsCare(bound))
      return this.#carefully(bound, change, into, this.#routerOf(bound.program));
    into.push(plain(bound, change));
    return undefined;
  }

  #needsCare({ program }: BoundProgram): boolean {
    return (
      program.filter !== undefined ||
      this.#incomplete.size > 0 ||
      this.#routerOf(program) !== undefined
    );
  }

  /** undefined where it need not be asked. */
  #routerOf(program: RowProgram): ChunkRouter | undefined {
    const { router } = this.#deps;
    const asks = router !== undefined && !router.settled && router.concerns(program);
    return asks ? router : undefined;
  }

  async #carefully(
    bound: BoundProgram,
    change: RowOfSource,
    into: RowChange[],
    router: ChunkRouter | undefined,
  ): Promise<void> {
    switch (change.kind) {
      case "insert":
        if (bound.passes(change.row)) await this.#insert(bound, change, into, router);
        return;
      case "delete":
        if (passesBefore(bound, change, change.before))
          await this.#delete(bound, change, into, router);
        return;
      case "update":
        await this.#update(bound, change, into, router);
    }
  }

  async #update(
    bound: BoundProgram,
    change: Update,
    into: RowChange[],
    router: ChunkRouter | undefined,
  ): Promise<void> {
    const { before, row } = change;
    const passes = bound.passes(row);
    const passed =
      before === undefined
        ? passedUnseen(bound, change, passes)
        : passesBefore(bound, change, before);
    if (passes && passed && !movesKey(bound, change)) {
      if (await isApplied(router, bound, change, row)) into.push(plain(bound, change));
      return;
    }
    if (!passes && !passed) return;
    const old: Delete = { ...change, kind: "delete", before: before ?? row };
    const goes = passed ? await routeOf(router, bound, old, old.before) : "drop";
    if (passes) await this.#arrive(bound, { change, old, goes }, into, router);
    else if (goes === "apply") into.push(plain(bound, old));
  }

  /** A row that comes under a key, or through the filter, from under another one or from where the target has nothing. */
  async #arrive(
    bound: BoundProgram,
    { change, old, goes }: { readonly change: Update; readonly old: Delete; readonly goes: Routed },
    into: RowChange[],
    router: ChunkRouter | undefined,
  ): Promise<void> {
    const oldName = this.#nameText(bound, old.before);
    // The router sees what the row lacks: where it cannot be had any more it has the table copied anew.
    const asIs: Insert = { ...change, kind: "insert" };
    const comes = await routeOf(router, bound, asIs, change.row);
    const mayLack = comes === "apply" && (goes !== "apply" || this.#incomplete.has(oldName));
    const whole = mayLack ? await this.#complete(change) : { row: change.row, gone: false };
    const fresh: Insert = { ...asIs, row: whole.row };
    const wasIncomplete = this.#incomplete.delete(oldName);
    if (goes === "apply" && comes === "apply") {
      if (wasIncomplete && whole.gone) this.#incomplete.add(this.#nameText(bound, change.row));
      into.push(plain(bound, { ...change, row: whole.gone ? change.row : whole.row }));
      return;
    }
    if (goes === "apply") into.push(plain(bound, old));
    if (comes !== "apply") return;
    if (whole.gone) this.#incomplete.add(this.#nameText(bound, change.row));
    into.push(plain(bound, fresh));
  }

  async #insert(
    bound: BoundProgram,
    change: Insert,
    into: RowChange[],
    router: ChunkRouter | undefined,
  ): Promise<void> {
    if (!(await isApplied(router, bound, change, change.row))) return;
    this.#incomplete.delete(this.#nameText(bound, change.row));
    into.push(plain(bound, change));
  }

  async #delete(
    bound: BoundProgram,
    change: Delete,
    into: RowChange[],
    router: ChunkRouter | undefined,
  ): Promise<void> {
    if (!(await isApplied(router, bound, change, change.before))) return;
    this.#incomplete.delete(this.#nameText(bound, change.before));
    into.push(plain(bound, change));
  }

  /** With the values that the log does not repeat; NULL for them when the row is gone. */
  async #complete({
    before,
    row,
    relation,
  }: Update): Promise<{ readonly row: SourceRow; readonly gone: boolean }> {
    if (!row.includes(UNCHANGED)) return { row, gone: false };
    const isWhole = before !== undefined && relation.identity === "full";
    const source = isWhole ? before : await this.#deps.fetchRow(relation, row);
    return {
      row: row.map((value, i) => (value === UNCHANGED ? (source?.[i] ?? null) : value)),
      gone: source === undefined,
    };
  }

  #nameText(bound: BoundProgram, row: SourceRow): string {
    const key = bound
      .keyOf(row)
      .map((value) => (Buffer.isBuffer(value) ? value.toString("latin1") : ""));
    return [tableKey(bound.program.target), ...key].join("\0");
  }
}

/** A change as it is, without a filter or a router to ask. */
function plain(bound: BoundProgram, change: RowOfSource): RowChange {
  const { program } = bound;
  switch (change.kind) {
    case "insert":
      return { kind: "insert", program, values: bound.values(change.row) };
    case "delete":
      return { kind: "delete", program, key: bound.keyOf(change.before) };
    case "update":
      return {
        kind: "update",
        program,
        key: bound.keyOf(change.before ?? change.row),
        values: bound.values(change.row),
      };
  }
}

/** Of a table without a key the whole row would be it, which does not name where it stands. */
function movesKey(bound: BoundProgram, { before, row }: Update): boolean {
  if (before === undefined || bound.program.key.length === 0) return false;
  return !sameRow(bound.keyOf(before), bound.keyOf(row));
}

async function routeOf(
  router: ChunkRouter | undefined,
  bound: BoundProgram,
  change: RowOfSource,
  row: SourceRow,
): Promise<Routed> {
  return router === undefined ? "apply" : await router.route(bound.program, change, row);
}

async function isApplied(
  router: ChunkRouter | undefined,
  bound: BoundProgram,
  change: RowOfSource,
  row: SourceRow,
): Promise<boolean> {
  return (await routeOf(router, bound, change, row)) === "apply";
}

function sameRow(a: SourceRow, b: SourceRow): boolean {
  return a.every((value, index) => {
    const other = b[index] ?? null;
    if (Buffer.isBuffer(value) && Buffer.isBuffer(other)) return value.equals(other);
    return value === other;
  });
}

/** The image before has the key's columns only, unless the identity is `full`. */
function passesBefore(bound: BoundProgram, change: RowOfSource, before: SourceRow): boolean {
  if (bound.program.filter === undefined) return true;
  const { relation } = change;
  if (relation.identity !== "full" && !filterIsKey(bound, relation)) throw blind(bound, change);
  return bound.passes(before);
}

/** Without an image before the key is as it was. */
function passedUnseen(bound: BoundProgram, change: Update, passes: boolean): boolean {
  if (bound.program.filter === undefined || filterIsKey(bound, change.relation)) return passes;
  throw blind(bound, change);
}

/** All columns by which rows are chosen name them as well, so that the log always has them. */
function filterIsKey({ program }: BoundProgram, { columns }: SourceRelation): boolean {
  for (let filter = program.filter; filter !== undefined; filter = filter.and) {
    const { source } = filter;
    if (!columns.some(({ name, isKey }) => isKey && name === source)) return false;
  }
  return true;
}

function blind(bound: BoundProgram, { kind }: RowOfSource): ApplyIncident {
  const table = tableKey(bound.program.target);
  return new ApplyIncident({
    message: `whether a row of ${table} travelled before its ${kind} cannot be known: the filter's column is not part of the source's replica identity`,
    table,
    operation: kind,
    key: {},
    sqlstate: undefined,
  });
}
