import type { PreparedStatement, PreparedStatements } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { Analysis } from "../sql/analysis.ts";
import {
  bindParts,
  closeParts,
  describedStatement,
  executeParts,
  parseName,
  parseParts,
  queryText,
} from "../wire/postgres/frontend-frames.ts";
import {
  describeFault,
  FrameReader,
  LARGEST_MESSAGE_BYTES,
  typeFlags,
} from "../wire/postgres/frame-reader.ts";
import { Frontend, FRONTEND_TYPES } from "../wire/postgres/message-types.ts";

type ReaderDeps = {
  readonly analyse: (sql: Uint8Array, start: number, end: number) => Analysis;
  readonly prepared: PreparedStatements;
  /** Whether, and up to how many bytes, the frames of a request are kept. 0: not at all. */
  readonly keepBytes: () => number;
  readonly sealed: (request: Request) => void;
  readonly terminated: () => void;
};
import { RequestParts } from "./request-parts.ts";

/** Frames larger than this are passed on without being collected, and not understood. */
const WHOLE_FRAME_BYTES = 1 << 20;
const LIMITS = {
  wholeBytes: WHOLE_FRAME_BYTES,
  interesting: typeFlags("QPBDECSFXcfH"),
  known: typeFlags(FRONTEND_TYPES),
  maxBodyBytes: LARGEST_MESSAGE_BYTES,
};
/** A COPY's data is of no use to a shadow; so much is kept until it is known to be that. */
const KEPT_OF_COPY_BYTES = WHOLE_FRAME_BYTES;

/** Reads a client's bytes into requests. Understands as much as routing needs and not more. */
export class RequestReader {
  readonly #deps: ReaderDeps;
  readonly #frames: FrameReader;
  /** Portals of the session by name, as bound. */
  readonly #portals = new Map<string, PreparedStatement | undefined>();
  #chunk: Buffer = NOTHING;
  /** Where in the chunk the open request begins. */
  #begin = 0;
  #kept: Buffer[] = [];
  #bytes = 0;
  #tooMany = false;
  /** The server waits for the data of a COPY. */
  #copying = false;
  /** Nothing but Flush and parts of a COPY so far. */
  #bare = true;
  #closesCopy = false;
  readonly #parts = new RequestParts();
  #fault: string | undefined;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
    this.#frames = new FrameReader(LIMITS, {
      frame: (type, bytes, start, end) => this.#frame(type, bytes, start, end),
      largeFrame: (type, _size, head) => this.#largeFrame(type, head),
    });
  }

  /** Nothing of a further request has been taken. */
  get atBoundary(): boolean {
    return this.#bytes === 0 && this.#frames.atBoundary;
  }

  /** Why the client's bytes are not frames. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** @returns up to where bytes were taken, or -1 when the client broke the protocol. */
  push(chunk: Buffer, start: number, end: number): number {
    this.#chunk = chunk;
    this.#begin = start;
    const taken = this.#frames.push(chunk, start, end);
    if (taken < 0) {
      const { fault } = this.#frames;
      if (fault !== undefined) this.#fault = describeFault(fault, "frontend");
    } else if (taken > this.#begin) {
      this.#keep(taken);
    }
    this.#chunk = NOTHING;
    return taken;
  }

  /** Called when a request is sealed: `push` returns after it and leaves the rest. */
  halt(): void {
    this.#frames.halt();
  }

  /** Answers may come to a batch whose Sync has not. */
  get batchOpen(): boolean {
    return !this.#bare;
  }

  /** The server answered with CopyInResponse. */
  copyBegan(): void {
    this.#copying = true;
  }

  /** The server is ready for the next query: no COPY is open any more. */
  copyEnded(): void {
    this.#copying = false;
  }

  get copying(): boolean {
    return this.#copying;
  }

  /** Everything sent is answered and no transaction open: portals are gone. */
  forgetPortals(): void {
    // Asked after every answer, and clearing what is empty is a call into native code all the same.
    if (this.#bare && this.#portals.size > 0) this.#portals.clear();
  }

  #keep(upTo: number): void {
    const size = upTo - this.#begin;
    this.#bytes += size;
    const keepBytes = this.#deps.keepBytes();
    const ofCopy = this.#copying && this.#bare;
    const limit = ofCopy ? Math.min(keepBytes, KEPT_OF_COPY_BYTES) : keepBytes;
    if (this.#tooMany || this.#bytes > limit) {
      this.#tooMany = true;
      this.#kept = [];
    } else {
      const copy = Buffer.allocUnsafe(size);
      this.#chunk.copy(copy, 0, this.#begin, upTo);
      this.#kept.push(copy);
    }
    this.#begin = upTo;
  }

  #frame(type: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case Frontend.Query:
        return this.#query(bytes, start, end);
      case Frontend.Parse:
        return this.#parse(bytes, start, end);
      case Frontend.Bind:
        return this.#bind(bytes, start, end);
      case Frontend.Describe:
        return this.#describe(bytes, start, end);
      case Frontend.Execute:
        return this.#execute(bytes, start, end);
      case Frontend.Close:
        return this.#close(bytes, start, end);
      case Frontend.Sync:
        return this.#seal("batch");
      case Frontend.FunctionCall:
        this.#asks();
        return this.#seal("function_call");
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        return this.#copyDone();
      case Frontend.Terminate:
        return this.#deps.terminated();
      default:
        return;
    }
  }

  #largeFrame(type: number, head: Buffer): void {
    if (type === Frontend.CopyFail) return this.#copyDone();
    // A large value follows the names of portal and statement.
    if (type === Frontend.Bind) return this.#bind(head, 0, head.length);
    this.#asks();
    this.#parts.obscure = true;
    if (type === Frontend.Query) this.#seal("query");
    if (type === Frontend.FunctionCall) this.#seal("function_call");
    if (type === Frontend.Parse) this.#hide(head);
  }

  /** What is prepared under this name from now on is not known. */
  #hide(parse: Buffer): void {
    const name = parseName(parse, 0, parse.length);
    if (name !== undefined) this.#deps.prepared.send({ type: "close", name });
  }

  #query(bytes: Buffer, start: number, end: number): void {
    this.#asks();
    const text = queryText(bytes, start, end);
    if (text === undefined) this.#parts.obscure = true;
    else {
      this.#parts.runs(this.#deps.analyse(bytes, text.start, text.end).statements);
    }
    // A Query inside an unfinished batch is answered or skipped depending on earlier errors.
    if (this.#parts.isBatch) this.#parts.obscure = true;
    this.#seal("query");
  }

  #parse(bytes: Buffer, start: number, end: number): void {
    this.#asks();
    const parts = parseParts(bytes, start, end);
    if (parts === undefined) {
      this.#parts.obscure = true;
      return;
    }
    const statement = this.#prepare(parts, bytes, start, end);
    this.#deps.prepared.send(this.#parts.parses(statement, end - start));
  }

  /** The same Parse again, as drivers send for the unnamed statement, costs one comparison. */
  #prepare(
    parts: NonNullable<ReturnType<typeof parseParts>>,
    bytes: Buffer,
    start: number,
    end: number,
  ): PreparedStatement {
    const before = this.#deps.prepared.sent(parts.name);
    if (before?.origin.kind === "parse") {
      const { frame } = before.origin;
      if (frame.length === end - start && bytes.compare(frame, 0, frame.length, start, end) === 0) {
        return before;
      }
    }
    return {
      name: parts.name,
      origin: { kind: "parse", frame: Buffer.from(bytes.subarray(start, end)) },
      statements: this.#deps.analyse(bytes, parts.text.start, parts.text.end).statements,
    };
  }

  #bind(bytes: Buffer, start: number, end: number): void {
    this.#asks();
    const parts = bindParts(bytes, start, end);
    if (parts === undefined) {
      this.#parts.obscure = true;
      return;
    }
    const statement = this.#deps.prepared.sent(parts.statement);
    this.#portals.set(parts.portal, statement);
    this.#parts.binds(statement);
  }

  /** A statement that is only described must be there on the shadow as well. */
  #describe(bytes: Buffer, start: number, end: number): void {
    this.#asks();
    const name = describedStatement(bytes, start, end);
    if (name !== undefined) this.#parts.binds(this.#deps.prepared.sent(name));
  }

  #execute(bytes: Buffer, start: number, end: number): void {
    this.#asks();
    const parts = executeParts(bytes, start, end);
    if (parts === undefined) {
      this.#parts.obscure = true;
      return;
    }
    const statements = this.#portals.get(parts.portal)?.statements;
    if (statements === undefined) this.#parts.obscure = true;
    else this.#parts.runs(statements);
  }

  #close(bytes: Buffer, start: number, end: number): void {
    this.#asks();
    const parts = closeParts(bytes, start, end);
    if (parts === undefined) this.#parts.obscure = true;
    else if (parts.what === "portal") this.#portals.delete(parts.name);
    else this.#deps.prepared.send(this.#parts.closes(parts.name));
  }

  /** What of a COPY came before belongs to no request. */
  #copyDone(): void {
    this.#closesCopy = true;
    if (!this.#bare) return;
    this.#begin = this.#frames.position;
    this.#kept = [];
    this.#bytes = 0;
    this.#tooMany = false;
  }

  /** The request is more than parts of a COPY. */
  #asks(): void {
    if (!this.#bare) return;
    this.#bare = false;
    this.#closesCopy = false;
  }

  #seal(kind: Request["kind"]): void {
    this.#keep(this.#frames.position);
    const request: Request = {
      kind,
      statements: this.#parts.statements,
      frames: this.#tooMany ? undefined : this.#join(),
      bytes: this.#bytes,
      changes: this.#parts.changes,
      bound: this.#parts.bound,
      bare: this.#bare,
      closesCopy: this.#closesCopy,
      obscure: this.#parts.obscure,
    };
    this.#reset();
    this.#deps.sealed(request);
  }

  #join(): Buffer {
    const [only] = this.#kept;
    return this.#kept.length === 1 && only !== undefined ? only : Buffer.concat(this.#kept);
  }

  #reset(): void {
    this.#kept = [];
    this.#bytes = 0;
    this.#tooMany = false;
    this.#bare = true;
    this.#closesCopy = false;
    this.#parts.reset();
  }
}

const NOTHING = Buffer.alloc(0);
