import type { Lsn } from "../../wire/position.ts";
import type { SourceChange, SourceTransaction } from "../source/source-transaction.ts";
import type { RowProgram } from "../mapping/row-program.ts";
import type { RowChange } from "./row-writer.ts";
import type { Translator } from "./translate.ts";

/** What a transaction of the source comes to in the target, piece by piece. */
export type Piece =
  | { readonly kind: "rows"; readonly changes: RowChange[] }
  | { readonly kind: "truncate"; readonly programs: readonly RowProgram[] }
  | { readonly kind: "message"; readonly prefix: string; readonly content: Buffer };

type Batches = ReturnType<SourceTransaction["changes"]>;

/** A transaction whose beginning has been read: what follows is applied in a target transaction of its own. */
export type Begun = {
  readonly transaction: SourceTransaction;
  readonly read: readonly Piece[];
  readonly rest: AsyncGenerator<Piece, void, undefined>;
};

/** Source transactions that become one target transaction. */
export class Group {
  readonly pieces: Piece[] = [];
  readonly transactions: SourceTransaction[] = [];
  rows = 0;
  bytes = 0;
  /** Behind all that was read into it; undefined as long as that is nothing. */
  position: Lsn | undefined;

  get isEmpty(): boolean {
    return this.pieces.length === 0;
  }

  /** @returns the transaction when it has to be applied by itself, because a message comes in it */
  add(
    transaction: SourceTransaction,
    translator: Translator,
  ): Promise<Begun | undefined> | undefined {
    const batches = transaction.changes();
    if (!(Symbol.iterator in batches)) return this.#addPieces(transaction, batches, translator);
    const read = [...batches];
    // Most transactions are a few rows: for them anything asynchronous would cost more than all the rest.
    const rows: RowChange[] = [];
    const isDone = read.every((batch) => translator.translateAtOnce(batch, rows));
    if (!isDone) return this.#addPieces(transaction, read, translator);
    if (rows.length > 0) this.#append({ kind: "rows", changes: rows });
    this.#added(transaction);
    return undefined;
  }

  async #addPieces(
    transaction: SourceTransaction,
    batches: Batches,
    translator: Translator,
  ): Promise<Begun | undefined> {
    const rest = piecesOf(batches, translator);
    const read: Piece[] = [];
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      read.push(next.value);
      if (next.value.kind === "message") return { transaction, read, rest };
    }
    for (const piece of read) this.#append(piece);
    this.#added(transaction);
    return undefined;
  }

  #added(transaction: SourceTransaction): void {
    this.transactions.push(transaction);
    this.bytes += transaction.bytes;
    this.position = transaction.endLsn;
  }

  #append(piece: Piece): void {
    const last = this.pieces.at(-1);
    if (piece.kind === "rows") {
      this.rows += piece.changes.length;
      if (last?.kind === "rows") {
        for (const change of piece.changes) last.changes.push(change);
        return;
      }
    }
    this.pieces.push(piece);
  }
}

/** In bounded pieces; those without anything for the target are left out. @throws ApplyIncident */
export async function* piecesOf(
  batches: Batches,
  translator: Translator,
): AsyncGenerator<Piece, void, undefined> {
  for await (const batch of batches) {
    let rows: RowChange[] = [];
    for (const change of batch) {
      if (change.kind === "truncate" || change.kind === "message") {
        if (rows.length > 0) yield { kind: "rows", changes: rows };
        rows = [];
        const piece = change.kind === "message" ? change : await truncation(change, translator);
        if (piece !== undefined) yield piece;
        continue;
      }
      const asked = translator.translate(change, rows);
      if (asked !== undefined) await asked;
    }
    if (rows.length > 0) yield { kind: "rows", changes: rows };
  }
}

async function truncation(
  { relations, xid }: Extract<SourceChange, { kind: "truncate" }>,
  translator: Translator,
): Promise<Piece | undefined> {
  const programs: RowProgram[] = [];
  for (const relation of relations) {
    const program = translator.boundOf(relation)?.program;
    if (program !== undefined && (await translator.truncates(program, xid))) programs.push(program);
  }
  return programs.length === 0 ? undefined : { kind: "truncate", programs };
}

/** What has been read and what follows, with neighbours put together up to about `rows` rows. */
export async function* inParts(
  read: readonly Piece[],
  rest: AsyncGenerator<Piece, void, undefined>,
  rows: number,
): AsyncGenerator<Piece, void, undefined> {
  let together: RowChange[] = [];
  for await (const piece of chained(read, rest)) {
    if (piece.kind === "rows") {
      together = together.length === 0 ? piece.changes : together.concat(piece.changes);
      if (together.length < rows) continue;
    }
    if (together.length > 0) yield { kind: "rows", changes: together };
    together = [];
    if (piece.kind !== "rows") yield piece;
  }
  if (together.length > 0) yield { kind: "rows", changes: together };
}

async function* chained(
  read: readonly Piece[],
  rest: AsyncGenerator<Piece, void, undefined>,
): AsyncGenerator<Piece, void, undefined> {
  yield* read;
  yield* rest;
}
