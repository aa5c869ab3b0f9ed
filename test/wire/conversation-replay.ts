import { createHash } from "node:crypto";
import { openReplyDigester } from "../../src/compare/reply-digester.ts";
import { AnswerCapture } from "../../src/mirror/answer-capture.ts";
import type { Pair } from "../../src/mirror/pair.ts";
import { newPair } from "../../src/mirror/pair.ts";
import { ExchangeLog } from "../../src/proxy/exchange-log.ts";
import type { Answered } from "../../src/proxy/exchange-log.ts";
import { ReplyReader } from "../../src/proxy/reply-reader.ts";
import { RequestReader } from "../../src/proxy/request-reader.ts";
import type { PreparedChange } from "../../src/routing/prepared-statements.ts";
import { PreparedStatements } from "../../src/routing/prepared-statements.ts";
import type { Request } from "../../src/routing/request.ts";
import type { Analyser } from "../../src/sql/analyser.ts";

/** A session without sockets: the readers and the log put together as a session does it. */
export type Replay = {
  /** @returns false once the frontend has broken the protocol */
  frontend(piece: Uint8Array): boolean;
  backend(piece: Uint8Array): boolean;
  readonly requests: RequestReader;
  readonly log: ExchangeLog;
  readonly prepared: PreparedStatements;
  /** What was made of each exchange, in words that compare. */
  readonly exchanges: readonly ReplayedExchange[];
};

export type ReplayedExchange = {
  readonly asked: string;
  readonly statements: readonly string[];
  readonly frames: string | undefined;
  readonly changes: readonly string[];
  readonly bound: readonly string[];
  readonly outcome: string;
  readonly failed: boolean;
  readonly tags: string;
  /** The bytes of the answer, as hex, or the size and hash of large ones; none of bare ones. */
  readonly answer: string;
};

type Options = { readonly keepBytes?: number; readonly captureBytes?: number };

export function openReplay(analyser: Analyser, options: Options = {}): Replay {
  const { keepBytes = 1 << 20, captureBytes = 1 << 20 } = options;
  const prepared = new PreparedStatements();
  const sealed = new Map<object, Request>();
  const exchanges: ReplayedExchange[] = [];
  const log = new ExchangeLog({
    prepared,
    copyBegan: () => requests.copyBegan(),
    copyEnded: () => requests.copyEnded(),
    forgotten: () => {},
  });
  const requests = new RequestReader({
    analyse: (sql, start, end) => analyser.analyse(sql, start, end),
    prepared,
    keepBytes: () => keepBytes,
    sealed: (request) => {
      const early = request.bare ? [] : replies.takeEarly();
      const pair = request.bare ? undefined : pairOf(request, captureBytes);
      for (const piece of early ?? []) pair?.capture?.append(piece, 0, piece.length);
      sealed.set(pair ?? request, request);
      log.send(request, pair, 0);
    },
    terminated: () => {},
  });
  const replies = new ReplyReader({
    log,
    batchOpen: () => requests.batchOpen,
    keepBytes: () => keepBytes,
    parameter: () => {},
    answered: (answered) => exchanges.push(inWords(answered, sealed)),
  });
  // As from the network: into one buffer, which holds other bytes afterwards.
  const shared = Buffer.alloc(65_536);
  const passed = (piece: Uint8Array, take: (length: number) => boolean): boolean => {
    shared.set(piece);
    const good = take(piece.length);
    shared.fill(0xee, 0, piece.length);
    return good;
  };
  return {
    frontend: (piece) => passed(piece, (length) => requests.push(shared, 0, length) >= 0),
    backend: (piece) =>
      passed(piece, (length) => {
        const good = replies.push(shared, length);
        if (log.idle) requests.forgetPortals();
        return good;
      }),
    requests,
    log,
    prepared,
    exchanges,
  };
}

function pairOf(request: Request, captureBytes: number): Pair {
  const asked = {
    kind: "mirror",
    statements: request.statements,
    facts: { obstacle: undefined },
    open: false,
    localSettings: false,
  } as const;
  const asker = { user: "app", parameters: [], credentials: { kind: "none" } } as const;
  const pair = newPair(request, asked, asker, 0);
  pair.capture = new AnswerCapture(captureBytes, () => openReplyDigester());
  return pair;
}

function inWords(
  { exchange, outcome }: Answered,
  sealed: ReadonlyMap<object, Request>,
): ReplayedExchange {
  const { kind, pair, statements, changes, failed, tags, obscure, bare } = exchange;
  const request = pair === undefined ? undefined : sealed.get(pair);
  const observation = pair?.capture?.finish(0);
  return {
    asked: `${kind}${bare ? " bare" : ""}${obscure ? " obscure" : ""}`,
    statements: statements.map((statement) => statement.normalised),
    frames: request?.frames === undefined ? undefined : short(request.frames),
    changes: changes.map(changeInWords),
    bound: request?.bound.map(({ name }) => name) ?? [],
    outcome,
    failed,
    tags: JSON.stringify(tags),
    answer:
      observation?.kind === "answered" ? short(observation.frames) : (observation?.kind ?? ""),
  };
}

function changeInWords(change: PreparedChange): string {
  return change.type === "close" ? `close ${change.name}` : `parse ${change.statement.name}`;
}

function short(bytes: Uint8Array): string {
  if (bytes.length <= 200) return Buffer.from(bytes).toString("hex");
  return `${bytes.length} bytes ${createHash("sha256").update(bytes).digest("hex")}`;
}

/** What the session is after all of it. */
export function endOf({ log, prepared, requests, exchanges }: Replay): object {
  const { settings, channels, heldCursors, temporary } = log.state.current;
  return {
    exchanges,
    status: log.status,
    idle: log.idle,
    confused: log.confused,
    unpaired: log.unpaired,
    copying: requests.copying,
    settings: [...settings],
    channels: [...channels],
    heldCursors: [...heldCursors],
    temporary: [...temporary],
    prepared: [...prepared.confirmed()].map(({ name }) => [name, prepared.sent(name)?.name]),
  };
}
