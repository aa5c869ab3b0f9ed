import type { SessionMirror } from "../mirror/session-mirror.ts";
import { PreparedStatements } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { ByteLink } from "../upstream/byte-link.ts";
import { openLink } from "../upstream/byte-link.ts";
import type { Dialled } from "../upstream/dial.ts";
import type { ErrorFields } from "../wire/postgres/error-response.ts";
import { errorResponse } from "../wire/postgres/error-response.ts";
import {
  describeFault,
  FrameReader,
  LARGEST_MESSAGE_BYTES,
  typeFlags,
} from "../wire/postgres/frame-reader.ts";
import { TERMINATE_MESSAGE } from "../wire/postgres/frontend-messages.ts";
import { Backend, BACKEND_TYPES } from "../wire/postgres/message-types.ts";
import type { Answered } from "./exchange-log.ts";
import { ExchangeLog } from "./exchange-log.ts";
import { RequestReader } from "./request-reader.ts";
import { readParameterStatus } from "./server-parameters.ts";
import type { SessionDeps } from "./session-deps.ts";
import type { SessionOrigin } from "./session-origin.ts";

const BACKEND_LIMITS = {
  wholeBytes: 16_384,
  interesting: typeFlags("ZECIs13GS"),
  known: typeFlags(BACKEND_TYPES),
  maxBodyBytes: LARGEST_MESSAGE_BYTES,
};

/**
 * One client's life between login and goodbye: its bytes go to the primary, the primary's come
 * back, unchanged and at once; what they mean is worked out after they have been passed on.
 */
export class Session {
  readonly origin: SessionOrigin;
  readonly prepared: PreparedStatements = new PreparedStatements();
  readonly log: ExchangeLog;
  readonly mirror: SessionMirror;
  readonly #deps: SessionDeps;
  readonly #client: ByteLink;
  readonly #requests: RequestReader;
  #primary: ByteLink;
  #server: Dialled;
  #replies: FrameReader;
  /** What the server reports of itself, as the client has been told. */
  readonly parameters: Map<string, string>;
  #answered: Answered[] = [];
  #chunk: Buffer = NOTHING;
  #begin = 0;
  /** Client bytes that wait for the gate. */
  #held: Buffer | undefined;
  /** The client has said Terminate; it has closed its half of the connection. */
  #terminated = false;
  #ended = false;
  #over = false;
  /** When the last exchange or the open transaction began. */
  #sinceMs: number;
  #lastStatement = "";

  constructor(origin: SessionOrigin, server: Dialled, deps: SessionDeps) {
    this.origin = origin;
    this.#deps = deps;
    this.#server = server;
    this.#sinceMs = deps.clock.monotonicMs();
    this.parameters = new Map(server.parameters);
    const { prepared } = this;
    this.log = new ExchangeLog({
      prepared,
      inner: deps.inner,
      copyBegan: () => this.#requests.copyBegan(),
      copyEnded: () => this.#requests.copyEnded(),
      forgotten: () => this.mirror.preparedForgotten(),
    });
    this.mirror = deps.openMirror({ prepared, state: () => this.log.state.current });
    this.#requests = new RequestReader({
      analyse: deps.analyse,
      prepared,
      keepBytes: deps.keepBytes,
      sealed: (request) => this.#sealed(request),
      terminated: () => {
        this.#terminated = true;
      },
    });
    this.#replies = this.#newReplyReader();
    this.#client = openLink(
      origin.socket,
      {
        bytes: (buffer, length) => this.#fromClient(buffer, length),
        drained: () => this.#primary.resume(),
        ended: () => this.#clientEnded(),
        closed: (how) => this.#clientClosed(how),
      },
      origin.leftover,
    );
    this.#primary = this.#openPrimary(server);
  }

  /** Tells the client that it is in, and begins to pass bytes on. */
  begin(welcome: Buffer): void {
    this.#client.write(welcome);
    this.#primary.resume();
    this.#client.resume();
  }

  /** Nothing is under way: the session could be moved. */
  get quiet(): boolean {
    return this.log.idle && this.#requests.atBoundary;
  }

  /** Its next transaction waits for the gate. */
  get waiting(): boolean {
    return this.#held !== undefined && this.#deps.gate.closed;
  }

  get server(): Dialled {
    return this.#server;
  }

  /** What it is doing, for the operator. */
  get activity(): {
    readonly sinceMs: number;
    readonly statement: string;
    readonly running: boolean;
  } {
    return { sinceMs: this.#sinceMs, statement: this.#lastStatement, running: this.log.busy };
  }

  /** The gate is open again, or an open transaction may go on. */
  pump(): void {
    while (this.#held !== undefined && !this.#over) {
      if (this.#deps.gate.closed && !this.#mayProceed()) return;
      const held = this.#held;
      const taken = this.#requests.push(held, 0, held.length);
      if (taken < 0) return this.#clientFault();
      this.#primary.write(held.subarray(0, taken));
      this.#held = taken < held.length ? held.subarray(taken) : undefined;
    }
    if (this.#over) return;
    if (this.#ended) this.#primary.finish();
    else if (!this.#primary.pending) this.#client.resume();
  }

  /** Goes on with another server session, made equal to the present one by the caller. */
  moveTo(server: Dialled, changedParameters: Buffer): void {
    if (this.#over) {
      server.socket.destroy();
      return;
    }
    const before = this.#primary;
    before.write(TERMINATE_MESSAGE);
    this.#server = server;
    this.#replies = this.#newReplyReader();
    this.#primary = this.#openPrimary(server);
    before.end();
    for (const [name, value] of server.parameters) this.parameters.set(name, value);
    if (changedParameters.length > 0) this.#client.write(changedParameters);
    this.mirror.restart();
    if (this.#ended) this.#primary.finish();
    this.#primary.resume();
  }

  /** The client has asked for what is running to be cancelled: on both sides. */
  cancelled(): void {
    this.log.cancelled();
    this.mirror.cancel();
  }

  /** Ends it with a FATAL error of ours. */
  end(error: ErrorFields): void {
    if (this.#over) return;
    // In the middle of a frame an error would only be taken for its data.
    if (this.#replies.atBoundary) this.#client.write(errorResponse(error));
    this.#client.end();
    this.#primary.write(TERMINATE_MESSAGE);
    this.#primary.end();
    this.#finish();
  }

  #fromClient(buffer: Buffer, length: number): void {
    if (this.#over) return;
    this.#deps.traffic.bytesFromClients += length;
    if (this.#deps.gate.closed || this.#held !== undefined) {
      const more = Buffer.from(buffer.subarray(0, length));
      this.#held = this.#held === undefined ? more : Buffer.concat([this.#held, more]);
      this.#client.pause();
      this.pump();
      return;
    }
    // First on its way, then understood; unless what is to be written must be noted before.
    const first = this.#deps.understandFirst();
    if (first && this.#requests.push(buffer, 0, length) < 0) return this.#clientFault();
    if (!this.#primary.write(buffer.subarray(0, length))) this.#client.pause();
    if (!first && this.#requests.push(buffer, 0, length) < 0) this.#clientFault();
  }

  #mayProceed(): boolean {
    if (this.#requests.copying || !this.#requests.atBoundary) return true;
    return !this.log.busy && this.log.status !== "I";
  }

  #sealed(request: Request): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const open = this.log.transactionOpen;
    const pair = this.mirror.admit(request, open);
    if (!open) this.#sinceMs = nowMs;
    const [statement] = request.statements;
    if (statement !== undefined) this.#lastStatement = statement.normalised;
    this.log.send(request, pair, nowMs);
    if (this.#deps.gate.closed) this.#requests.halt();
  }

  #fromPrimary(buffer: Buffer, length: number): void {
    if (this.#over) return;
    this.#chunk = buffer;
    this.#begin = 0;
    const taken = this.#replies.push(buffer, 0, length);
    if (taken < 0) return this.#backendFault(buffer);
    if (this.#begin < length) this.log.head?.pair?.capture?.append(buffer, this.#begin, length);
    this.#deps.traffic.bytesToClients += length;
    if (!this.#client.write(buffer.subarray(0, length))) this.#primary.pause();
    if (this.#answered.length > 0) this.#settleAnswered();
  }

  #backendFrame(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === Backend.ParameterStatus) {
      const [name, value] = readParameterStatus(bytes, start, end);
      this.parameters.set(name, value);
      return;
    }
    const answered = this.log.take(type, bytes, start, end);
    if (type !== Backend.ReadyForQuery) return;
    const upTo = this.#replies.position;
    answered?.exchange.pair?.capture?.append(this.#chunk, this.#begin, upTo);
    this.#begin = upTo;
    if (answered !== undefined) this.#answered.push(answered);
  }

  #settleAnswered(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const all = this.#answered;
    this.#answered = [];
    for (const { exchange, ...ended } of all) {
      const { failed, tags, sentAtMs } = exchange;
      const elapsedMs = nowMs - sentAtMs;
      this.#deps.traffic.answered(elapsedMs);
      this.mirror.answered({ ...ended, elapsedMs, failed, changesState: tags !== undefined });
    }
    if (this.#deps.gate.closed) {
      this.pump();
      if (this.quiet) this.#deps.gate.becameQuiet();
    }
  }

  /** It has asked its last question, and may still wait for the answers. */
  #clientEnded(): void {
    this.#ended = true;
    if (!this.#over && this.#held === undefined) this.#primary.finish();
  }

  #clientClosed(how: "end" | "reset"): void {
    if (this.#over) return;
    if (how === "reset") this.#primary.breakOff();
    else this.#primary.end();
    this.#finish();
  }

  #primaryClosed(how: "end" | "reset"): void {
    if (this.#over) return;
    if (how === "reset" && !this.#terminated) this.#client.breakOff();
    else this.#client.end();
    this.#finish();
  }

  #clientFault(): void {
    this.end({
      severity: "FATAL",
      sqlstate: "08P01",
      message: this.#requests.fault ?? "protocol violation",
    });
  }

  #backendFault(buffer: Buffer): void {
    const { fault, position } = this.#replies;
    this.#client.write(Buffer.from(buffer.subarray(0, position)));
    const message = fault === undefined ? "protocol violation" : describeFault(fault, "backend");
    this.end({ severity: "FATAL", sqlstate: "08P01", message });
  }

  #finish(): void {
    this.#over = true;
    this.mirror.close();
    this.#deps.ended();
  }

  #newReplyReader(): FrameReader {
    return new FrameReader(BACKEND_LIMITS, {
      frame: (type, bytes, start, end) => this.#backendFrame(type, bytes, start, end),
      largeFrame: (type) => {
        if (type === Backend.ErrorResponse && this.log.head !== undefined) {
          this.log.head.failed = true;
        }
      },
    });
  }

  #openPrimary(server: Dialled): ByteLink {
    const link: ByteLink = openLink(
      server.socket,
      {
        bytes: (buffer, length) => this.#fromPrimary(buffer, length),
        drained: () => {
          if (this.#held === undefined) this.#client.resume();
        },
        ended: () => {
          link.end();
          if (this.#primary === link) this.#primaryClosed("end");
        },
        closed: (how) => {
          if (this.#primary === link) this.#primaryClosed(how);
        },
      },
      server.leftover,
    );
    return link;
  }
}

const NOTHING = Buffer.alloc(0);
