import type { Pair } from "../mirror/pair.ts";
import type { SessionMirror } from "../mirror/session-mirror.ts";
import { PreparedStatements } from "../routing/prepared-statements.ts";
import type { Request } from "../routing/request.ts";
import type { ByteLink } from "../upstream/byte-link.ts";
import { openLink } from "../upstream/byte-link.ts";
import type { Dialled } from "../upstream/dial.ts";
import type { ErrorFields } from "../wire/postgres/error-response.ts";
import { errorResponse } from "../wire/postgres/error-response.ts";
import { TERMINATE_MESSAGE } from "../wire/postgres/frontend-messages.ts";
import type { Answered } from "./exchange-log.ts";
import { ExchangeLog } from "./exchange-log.ts";
import { ReplyReader } from "./reply-reader.ts";
import { RequestReader } from "./request-reader.ts";
import type { SessionDeps } from "./session-deps.ts";
import type { SessionOrigin } from "./session-origin.ts";

/** What a client sends ahead beyond so many requests waits in its own buffers. */
const MOST_UNANSWERED = 4_096;

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
  #replies: ReplyReader;
  /** What the server reports of itself, as the client has been told. */
  readonly parameters: Map<string, string>;
  #answered: Answered[] = [];
  /** Client bytes that wait for the gate. */
  #held: Buffer | undefined;
  /** The client has said Terminate; it has closed its half of the connection. */
  #terminated = false;
  #ended = false;
  /** More requests are under way than are worth following. */
  #crowded = false;
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
    else this.#resumeClient();
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
    if (!first && this.#requests.push(buffer, 0, length) < 0) return this.#clientFault();
    if (this.log.unanswered <= MOST_UNANSWERED) return;
    this.#crowded = true;
    this.#client.pause();
  }

  /** Reads on, unless the gate or the primary is not yet through with what has been read. */
  #resumeClient(): void {
    if (this.#held !== undefined || this.#crowded || this.#primary.pending) return;
    this.#client.resume();
  }

  #mayProceed(): boolean {
    if (this.#requests.copying || !this.#requests.atBoundary) return true;
    return !this.log.busy && this.log.status !== "I";
  }

  #sealed(request: Request): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const open = this.log.transactionOpen;
    const pair = request.bare ? undefined : this.#mirrored(request, open);
    if (!open) this.#sinceMs = nowMs;
    const [statement] = request.statements;
    if (statement !== undefined) this.#lastStatement = statement.normalised;
    this.log.send(request, pair, nowMs);
    if (this.#deps.gate.closed) this.#requests.halt();
  }

  /** An answer that cannot be told apart, or was not kept from its beginning, is compared with nothing. */
  #mirrored(request: Request, open: boolean): Pair | undefined {
    const early = this.#replies.takeEarly();
    const clear = early !== undefined && !this.log.unpaired;
    const pair = this.mirror.admit(clear ? request : { ...request, obscure: true }, open);
    for (const piece of early ?? []) pair?.capture?.append(piece, 0, piece.length);
    return pair;
  }

  #fromPrimary(buffer: Buffer, length: number): void {
    if (this.#over) return;
    if (!this.#replies.push(buffer, length)) return this.#backendFault(buffer);
    this.#deps.traffic.bytesToClients += length;
    if (!this.#client.write(buffer.subarray(0, length))) this.#primary.pause();
    if (this.#answered.length > 0) this.#settleAnswered();
  }

  #settleAnswered(): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const all = this.#answered;
    if (this.#crowded && this.log.unanswered <= MOST_UNANSWERED) {
      this.#crowded = false;
      this.#resumeClient();
    }
    this.#answered = [];
    for (const { exchange, outcome, committed, state } of all) {
      const { failed, tags, sentAtMs } = exchange;
      const elapsedMs = nowMs - sentAtMs;
      this.#deps.traffic.answered(elapsedMs);
      if (exchange.bare) continue;
      const changesState = tags !== undefined;
      this.mirror.answered({ elapsedMs, failed, outcome, committed, state, changesState });
    }
    if (this.log.idle) this.#requests.forgetPortals();
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

  /** What was in order is passed on before the error that names what was not. */
  #backendFault(buffer: Buffer): void {
    const { message, position } = this.#replies.fault ?? {
      message: "protocol violation",
      position: 0,
    };
    this.#client.write(Buffer.from(buffer.subarray(0, position)));
    this.end({ severity: "FATAL", sqlstate: "08P01", message });
  }

  #finish(): void {
    this.#over = true;
    this.mirror.close();
    this.#deps.ended();
  }

  #newReplyReader(): ReplyReader {
    return new ReplyReader({
      log: this.log,
      batchOpen: () => this.#requests.batchOpen,
      keepBytes: this.#deps.keepBytes,
      parameter: (name, value) => this.parameters.set(name, value),
      answered: (answered) => this.#answered.push(answered),
    });
  }

  #openPrimary(server: Dialled): ByteLink {
    const link: ByteLink = openLink(
      server.socket,
      {
        bytes: (buffer, length) => this.#fromPrimary(buffer, length),
        drained: () => this.#resumeClient(),
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
