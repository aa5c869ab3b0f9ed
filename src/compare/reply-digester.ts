import { Buffer } from "node:buffer";
import { Backend } from "../wire/postgres/message-types.ts";
import { decodeCommandTag, decodeErrorResponse, uint32At } from "../wire/postgres/reply-frames.ts";
import type { ResultDigest } from "./result-digest.ts";
import { hashRow, RowHash } from "./row-hash.ts";

/** Takes an answer too large to keep and makes digests of its results, in constant memory. */
export type ReplyDigester = {
  /** The bytes of the answer at [start, end), cut anywhere. They may be reused after the call. */
  push(bytes: Uint8Array, start: number, end: number): void;
  /** What was seen so far; called once, after the last piece. */
  results(): readonly ResultDigest[];
};

/** How many of the first rows to keep of each result, and up to how many bytes of all results together. */
export type DigestLimits = { readonly firstRows: number; readonly firstBytes: number };

const DEFAULT_LIMITS: DigestLimits = { firstRows: 100, firstBytes: 64 * 1024 };

/** A body is collected up to here; a row beyond is hashed only. 1664 columns of 63 bytes fit. */
const MAX_COLLECTED_BYTES = 256 * 1024;

/** Results beyond are hashed into the last one: a batch may hold millions of statements. */
const MAX_RESULTS = 4096;

/** Opens a digester for one answer. */
export function openReplyDigester(limits: DigestLimits = DEFAULT_LIMITS): ReplyDigester {
  const digester = new FrameDigester(new DigestCollector(limits));
  return {
    push: (bytes, start, end) => digester.push(bytes, start, end),
    results: () => digester.results(),
  };
}

/** Cuts the stream into frames and hands rows to the hash, everything else to the collector. */
class FrameDigester {
  readonly #collector: DigestCollector;
  readonly #header = Buffer.alloc(5);
  #headerBytes = 0;
  #type = 0;
  /** Bytes of the body still to come. */
  #left = 0;
  #body: Buffer | undefined;
  #bodyBytes = 0;

  constructor(collector: DigestCollector) {
    this.#collector = collector;
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (this.#headerBytes === 0 && end - at >= 5) {
        const next = at + 1 + uint32At(bytes, at + 1);
        if (isRow(bytes[at] as number) && next >= at + 5 && next <= end) {
          this.#collector.row(bytes, at + 5, next);
          at = next;
          continue;
        }
      }
      at =
        this.#headerBytes < 5 ? this.#takeHeader(bytes, at, end) : this.#takeBody(bytes, at, end);
    }
  }

  results(): readonly ResultDigest[] {
    return this.#collector.finish();
  }

  #takeHeader(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (this.#headerBytes < 5 && at < end) {
      this.#header[this.#headerBytes++] = bytes[at++] as number;
    }
    if (this.#headerBytes < 5) return at;
    this.#type = this.#header[0] as number;
    this.#left = Math.max(0, uint32At(this.#header, 1) - 4);
    const collects = this.#left <= this.#collector.wants(this.#type);
    this.#body = collects ? Buffer.allocUnsafe(this.#left) : undefined;
    this.#bodyBytes = 0;
    if (this.#left === 0) this.#endFrame();
    return at;
  }

  #takeBody(bytes: Uint8Array, start: number, end: number): number {
    const next = Math.min(end, start + this.#left);
    if (isRow(this.#type)) this.#collector.rowPiece(bytes, start, next);
    if (this.#body !== undefined) {
      this.#body.set(bytes.subarray(start, next), this.#bodyBytes);
      this.#bodyBytes += next - start;
    }
    this.#left -= next - start;
    if (this.#left === 0) this.#endFrame();
    return next;
  }

  #endFrame(): void {
    this.#headerBytes = 0;
    const body = this.#body;
    this.#body = undefined;
    if (isRow(this.#type)) this.#collector.rowEnd(body);
    else this.#collector.frame(this.#type, body);
  }
}

/** The state of the result at hand, and those finished. */
class DigestCollector {
  readonly #limits: DigestLimits;
  readonly #results: ResultDigest[] = [];
  readonly #hash = new RowHash();
  #description: Buffer | undefined;
  #firstRows: Buffer[] = [];
  #keptBytes = 0;
  #keeps = true;
  #rowCount = 0;
  /** The last result holds more than one. */
  #folded = false;
  #tag: string | undefined;
  #sqlstate: string | undefined;
  /** Sum of the rows' hashes modulo 2^64. */
  #sum = 0n;
  /** Chain of the rows' hashes modulo 2^64. */
  #chain = 0n;

  constructor(limits: DigestLimits) {
    this.#limits = limits;
  }

  /** Bodies of this type up to this size are wanted whole. */
  wants(type: number): number {
    if (isRow(type)) return this.#keeps ? this.#limits.firstBytes - this.#keptBytes : -1;
    return isTelling(type) ? MAX_COLLECTED_BYTES : -1;
  }

  row(bytes: Uint8Array, start: number, end: number): void {
    this.#addHash(hashRow(bytes, start, end));
    const fits = this.#keeps && end - start <= this.#limits.firstBytes - this.#keptBytes;
    this.#endRow(fits ? Buffer.from(bytes.subarray(start, end)) : undefined);
  }

  rowPiece(bytes: Uint8Array, start: number, end: number): void {
    this.#hash.update(bytes, start, end);
  }

  rowEnd(body: Buffer | undefined): void {
    this.#addHash(this.#hash.finish());
    this.#endRow(body);
  }

  #endRow(body: Buffer | undefined): void {
    this.#rowCount++;
    if (!this.#keeps) return;
    if (body === undefined) {
      this.#keeps = false;
      return;
    }
    this.#firstRows.push(body);
    this.#keptBytes += body.length;
    this.#keeps = this.#firstRows.length < this.#limits.firstRows;
  }

  frame(type: number, body: Buffer | undefined): void {
    if (type === Backend.RowDescription) this.#description = body;
    if (type === Backend.CommandComplete && body) this.#tag = decodeCommandTag(body);
    if (type === Backend.ErrorResponse) {
      this.#sqlstate = (body && sqlstateOf(body)) ?? "XX000";
    }
    if (type === Backend.FunctionCallResponse && body) this.row(body, 0, body.length);
    if (endsResult(type)) this.#endResult();
  }

  finish(): readonly ResultDigest[] {
    if (this.#rowCount > 0 || this.#description !== undefined || this.#folded) this.#pushResult();
    return this.#results;
  }

  #addHash(hash: bigint): void {
    this.#sum = BigInt.asUintN(64, this.#sum + hash);
    this.#chain = BigInt.asUintN(64, this.#chain * CHAIN_FACTOR + hash);
  }

  #endResult(): void {
    if (this.#results.length < MAX_RESULTS - 1) {
      this.#pushResult();
      return;
    }
    this.#folded = true;
    const outcome = Buffer.from(`${this.#tag ?? ""}\0${this.#sqlstate ?? ""}`);
    this.#addHash(hashRow(outcome, 0, outcome.length));
  }

  #pushResult(): void {
    this.#results.push({
      description: this.#description,
      rowCount: this.#rowCount,
      ordered: this.#chain,
      unordered: this.#sum,
      firstRows: this.#firstRows,
      tag: this.#tag,
      sqlstate: this.#sqlstate,
    });
    this.#description = this.#tag = this.#sqlstate = undefined;
    this.#firstRows = [];
    this.#keeps = this.#keptBytes < this.#limits.firstBytes;
    this.#rowCount = 0;
    this.#sum = this.#chain = 0n;
  }
}

/** Odd, so that no row's hash is ever multiplied away. */
const CHAIN_FACTOR = 0x9e3779b97f4a7c15n;

function isRow(type: number): boolean {
  return type === Backend.DataRow || type === Backend.CopyData;
}

function isTelling(type: number): boolean {
  return (
    type === Backend.RowDescription ||
    type === Backend.CommandComplete ||
    type === Backend.ErrorResponse ||
    type === Backend.FunctionCallResponse
  );
}

function endsResult(type: number): boolean {
  return (
    type === Backend.CommandComplete ||
    type === Backend.ErrorResponse ||
    type === Backend.EmptyQueryResponse ||
    type === Backend.PortalSuspended ||
    type === Backend.FunctionCallResponse
  );
}

/** An error that cannot be read is an error all the same. */
function sqlstateOf(body: Buffer): string | undefined {
  try {
    return decodeErrorResponse(body).sqlstate;
  } catch {
    return undefined;
  }
}
