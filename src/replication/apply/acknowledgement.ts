import type { Lsn } from "../../wire/position.ts";

/**
 * How far behind the acknowledgement stays on purpose: when the target fails over to a standby that lacks its last
 * moments, its progress goes back with its rows, and the source still has the log. A position is told when it has been
 * durable for `ms`, or lies `bytes` of the source's log behind.
 */
export type AckMargin = { readonly ms: number; readonly bytes: number };

type Waiting = { readonly source: Lsn; readonly target: Lsn; readonly atMs: number };

/** Positions closer together than this are told together. */
const COALESCE_MS = 20;

/** Which positions of the source may be acknowledged: those whose commit is durable in the target. */
export class Acknowledgement {
  readonly #margin: AckMargin;
  #unflushed: Waiting[] = [];
  #durable: Waiting[] = [];
  #latest = 0n as Lsn;

  constructor(margin: AckMargin) {
    this.#margin = margin;
  }

  /** Something waits for the target's disk. */
  get awaitsFlush(): boolean {
    return this.#unflushed.length > 0;
  }

  /** @param target end of the target's log after the commit; undefined when the commit itself waited for the disk */
  committed(source: Lsn, target: Lsn | undefined, nowMs: number): void {
    this.#latest = source;
    const waiting = { source, target: target ?? (0n as Lsn), atMs: nowMs };
    if (target === undefined) this.#add(waiting);
    else this.#unflushed.push(waiting);
  }

  flushed(target: Lsn, nowMs: number): void {
    let count = 0;
    for (const { target: needed } of this.#unflushed) {
      if (needed > target) break;
      count++;
    }
    const last = this.#unflushed[count - 1];
    if (last === undefined) return;
    this.#unflushed = this.#unflushed.slice(count);
    this.#add({ ...last, atMs: nowMs });
  }

  /** What may be told to the source now, if anything new. */
  due(nowMs: number): Lsn | undefined {
    const { ms, bytes } = this.#margin;
    let count = 0;
    for (const { source, atMs } of this.#durable) {
      if (nowMs - atMs < ms && this.#latest - source < BigInt(bytes)) break;
      count++;
    }
    const told = this.#durable[count - 1];
    this.#durable = this.#durable.slice(count);
    return told?.source;
  }

  #add(durable: Waiting): void {
    const last = this.#durable.at(-1);
    const isClose = last !== undefined && durable.atMs - last.atMs < COALESCE_MS;
    // The first time is kept: a steady stream must not put it off for ever.
    if (isClose && this.#durable.length > 1)
      this.#durable[this.#durable.length - 1] = { ...durable, atMs: last.atMs };
    else this.#durable.push(durable);
  }
}
