import { readdirSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import fc from "fast-check";
import t from "tap";
import { sendCancel } from "../../src/upstream/cancel.ts";
import { dial } from "../../src/upstream/dial.ts";
import type { DialOutcome, DialRequest } from "../../src/upstream/dial.ts";
import type { ServerTls } from "../../src/upstream/server-address.ts";
import {
  authenticationCleartext,
  authenticationOk,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from "../../src/wire/postgres/auth-messages.ts";
import {
  backendKeyData,
  message,
  parameterStatus,
  readyForQuery,
} from "../../src/wire/postgres/backend-messages.ts";
import { errorResponse } from "../../src/wire/postgres/error-response.ts";
import { at, deps, describe, peer, request } from "./sessions.ts";

const wish = { user: "app", password: "hush" };
const key = backendKeyData(7, Buffer.from("key!"));
const ok = authenticationOk();
const ready = readyForQuery("I");
const refusal = errorResponse({ severity: "FATAL", sqlstate: "57P03", message: "starting up" });

function authentication(code: number, data = ""): Buffer {
  return message("R", Buffer.from([0, 0, 0, code]), Buffer.from(data, "latin1"));
}

/** What the server says, one piece after each piece it hears; after the last it closes, unless it ends in silence. */
type Script = readonly (Buffer | ((heard: Buffer) => Buffer) | "silence" | "reset")[];

function follow(script: Script): (socket: Socket) => void {
  return (socket) => {
    let step = 0;
    socket.on("data", (heard: Buffer) => {
      const say = script[step++];
      if (say === "silence") return;
      if (say === "reset") return void socket.resetAndDestroy();
      if (say !== undefined) socket.write(typeof say === "function" ? say(heard) : say);
      if (step >= script.length) socket.end();
    });
  };
}

/** The nonce of a SASLInitialResponse, continued. */
function serverFirst(rest: string): (heard: Buffer) => Buffer {
  return (heard) => {
    const nonce = /r=(.*)$/.exec(heard.toString("latin1"))?.[1] ?? "";
    return authenticationSaslContinue(rest.replace("NONCE", nonce));
  };
}

const sasl = authenticationSasl(["SCRAM-SHA-256"]);

type Row = {
  readonly why: string;
  readonly script: Script;
  readonly tls?: Partial<ServerTls>;
  readonly timeoutMs?: number;
  readonly outcome: RegExp;
};

const ROWS: readonly Row[] = [
  {
    why: "says nothing",
    script: ["silence"],
    timeoutMs: 100,
    outcome:
      /^failed backend_unreachable: 127.0.0.1:\d+: no answer within 100 ms, waiting for the server to ask/,
  },
  {
    why: "says nothing to SSLRequest",
    script: ["silence"],
    tls: { mode: "require" },
    timeoutMs: 100,
    outcome: /no answer within 100 ms, waiting for the answer to SSLRequest/,
  },
  {
    why: "says nothing in the TLS handshake",
    script: [Buffer.from("S"), "silence"],
    tls: { mode: "require" },
    timeoutMs: 100,
    outcome: /no answer within 100 ms, waiting for the TLS handshake/,
  },
  {
    why: "says nothing after AuthenticationOk",
    script: [ok, "silence"],
    timeoutMs: 100,
    outcome: /no answer within 100 ms, waiting for ReadyForQuery/,
  },
  { why: "closes", script: [Buffer.alloc(0)], outcome: /^failed backend_lost: .*closed/ },
  { why: "resets", script: ["reset"], outcome: /^failed backend_lost: .*broke/ },
  { why: "closes in a message", script: [ok.subarray(0, 7)], outcome: /^failed backend_lost/ },
  {
    why: "closes before it is ready",
    script: [Buffer.concat([ok, key])],
    outcome: /^failed backend_lost/,
  },
  {
    why: "speaks HTTP",
    script: [Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    outcome: /^failed protocol_violation: .*message "H" with an impossible length of 1414811695/,
  },
  {
    why: "has a length that does not count itself",
    script: [Buffer.from("520000000300000000", "hex")],
    outcome: /^failed protocol_violation: .*impossible length of 3/,
  },
  {
    why: "cannot start a process, and says so as servers did before protocol 3.0",
    script: [Buffer.from("Ecould not fork new process for connection: out of memory\n\0")],
    outcome: /^failed backend_refused: .*cannot start a process/,
  },
  {
    why: "sends rows before anybody logged in",
    script: [message("D", Buffer.alloc(2))],
    outcome: /^failed protocol_violation: .*message "D" where authentication was due/,
  },
  {
    why: "never comes to an end",
    script: [
      Buffer.concat([ok, ...Array.from({ length: 300 }, () => message("N", Buffer.alloc(4096)))]),
    ],
    outcome: /^failed protocol_violation: .*more than 1048576 bytes/,
  },
  {
    why: "announces a message that fills the memory",
    script: [Buffer.concat([ok, Buffer.from("4e3fffffff", "hex")])],
    outcome: /^failed protocol_violation: .*message "N" with an impossible length/,
  },
  {
    why: "asks for nothing",
    script: [message("R")],
    outcome: /^failed protocol_violation: .*cut short/,
  },
  {
    why: "asks for GSSAPI",
    script: [authentication(7)],
    outcome: /^failed authentication_failed: .*GSSAPI/,
  },
  {
    why: "asks for what nobody knows",
    script: [authentication(99)],
    outcome: /^failed authentication_failed: .*method 99/,
  },
  {
    why: "asks for the password twice",
    script: [authenticationCleartext(), authenticationCleartext()],
    outcome: /^failed protocol_violation: .*request 3/,
  },
  {
    why: "salts too little",
    script: [authentication(5, "abc")],
    outcome: /^failed protocol_violation: .*salt/,
  },
  {
    why: "knows only foreign SASL mechanisms",
    script: [authenticationSasl(["OAUTHBEARER"])],
    outcome: /^failed authentication_failed: .*SASL mechanism/,
  },
  {
    why: "offers to bind a channel that is none",
    script: [authenticationSasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])],
    outcome: /^failed protocol_violation: .*without TLS/,
  },
  {
    why: "answers another client's nonce",
    script: [sasl, authenticationSaslContinue("r=somebody,s=c2FsdA==,i=4096")],
    outcome: /^failed protocol_violation: .*nonce/,
  },
  {
    why: "wants hours of hashing",
    script: [sasl, serverFirst("r=NONCEx,s=c2FsdA==,i=2000000000")],
    outcome: /^failed protocol_violation: .*iterations/,
  },
  {
    why: "lets in without having proven anything",
    script: [sasl, Buffer.concat([ok, key, ready])],
    outcome: /^failed protocol_violation: .*request 0 where 11 was due/,
  },
  {
    why: "lets in without having proven that it knows the user",
    script: [sasl, serverFirst("r=NONCEx,s=c2FsdA==,i=1"), Buffer.concat([ok, key, ready])],
    outcome: /^failed protocol_violation: .*request 0 where 12 was due/,
  },
  {
    why: "proves that it knows another user",
    script: [
      sasl,
      serverFirst("r=NONCEx,s=c2FsdA==,i=1"),
      Buffer.concat([
        authenticationSaslFinal(`v=${Buffer.alloc(32).toString("base64")}`),
        ok,
        key,
        ready,
      ]),
    ],
    outcome: /^failed authentication_failed: .*could not prove/,
  },
  {
    why: "has a key of half the size",
    script: [Buffer.concat([ok, backendKeyData(7, Buffer.alloc(2)), ready])],
    outcome: /^failed protocol_violation: .*BackendKeyData of 6 bytes/,
  },
  {
    why: "has a parameter without a value",
    script: [Buffer.concat([ok, message("S", Buffer.from("TimeZone\0")), ready])],
    outcome: /^failed protocol_violation: .*ParameterStatus/,
  },
  {
    why: "sends rows before it is ready",
    script: [Buffer.concat([ok, message("D", Buffer.alloc(2))])],
    outcome: /^failed protocol_violation: .*message "D" before its first ReadyForQuery/,
  },
  { why: "refuses at once", script: [refusal], outcome: /^refused 57P03$/ },
  {
    why: "refuses after the login",
    script: [Buffer.concat([ok, refusal])],
    outcome: /^refused 57P03$/,
  },
  {
    why: "puts bytes of its own before the TLS handshake",
    script: [Buffer.concat([Buffer.from("S"), ok, ready])],
    tls: { mode: "prefer" },
    outcome: /^failed protocol_violation: .*unencrypted data/,
  },
  {
    why: "answers SSLRequest with something else",
    script: [Buffer.from("X")],
    tls: { mode: "prefer" },
    outcome: /^failed protocol_violation: .*SSLRequest with message "X"/,
  },
  {
    why: "answers SSLRequest with an error",
    script: [Buffer.from("E")],
    tls: { mode: "require" },
    outcome: /^failed backend_refused: .*SSLRequest with an error/,
  },
  {
    why: "has no idea of TLS",
    script: [Buffer.from("S"), Buffer.from("what?")],
    tls: { mode: "require" },
    outcome: /^failed backend_refused: .*TLS failed/,
  },
  {
    why: "closes in the TLS handshake",
    script: [Buffer.from("S"), Buffer.alloc(0)],
    tls: { mode: "require" },
    outcome: /^failed backend_refused: .*TLS failed/,
  },
];

for (const { why, script, tls, timeoutMs = 20_000, outcome } of ROWS) {
  await t.test(`a server that ${why}`, async (test) => {
    const port = await peer(follow(script), test);
    const result = await dial(request(at(port, tls), wish, { timeoutMs }), deps);
    test.match(describe(result), outcome);
    test.notMatch(describe(result), "hush");
  });
}

await t.test("a server that gives no cancel key gives a session all the same", async (test) => {
  const port = await peer(follow([Buffer.concat([ok, ready]), "silence"]), test);
  const result = await dial(request(at(port), wish), deps);
  test.match(result, { kind: "ready", server: { processId: 0, secretKey: Buffer.alloc(0) } });
  destroy(result);
});

await t.test("a long cancel key is kept whole", async (test) => {
  const long = Buffer.alloc(256, 1);
  const port = await peer(
    follow([Buffer.concat([ok, backendKeyData(-1, long), ready]), "silence"]),
    test,
  );
  const result = await dial(request(at(port), wish), deps);
  test.match(result, { kind: "ready", server: { processId: -1, secretKey: long } });
  destroy(result);
});

await t.test("what comes with ReadyForQuery is not lost, nor what comes later", async (test) => {
  const early = parameterStatus("TimeZone", "Asia/Tokyo");
  const late = parameterStatus("TimeZone", "Europe/Berlin");
  let server: Socket | undefined;
  const port = await peer((socket) => {
    server = socket;
    follow([Buffer.concat([ok, parameterStatus("TimeZone", "UTC"), key, ready, early]), "silence"])(
      socket,
    );
  }, test);
  const result = await dial(request(at(port), wish), deps);
  if (result.kind !== "ready") throw new Error(describe(result));
  const { greeting, leftover, parameters, socket } = result.server;
  test.same(Buffer.from(greeting), parameterStatus("TimeZone", "UTC"));
  test.same(Buffer.from(leftover), early);
  test.equal(parameters.get("TimeZone"), "UTC");
  server?.write(late);
  const heard = await new Promise<Buffer>((resolve) => socket.once("data", resolve).resume());
  test.same(heard, late);
  destroy(result);
});

await t.test(
  "a session that breaks before anybody listens ends nothing but itself",
  async (test) => {
    let server: Socket | undefined;
    const port = await peer((socket) => {
      server = socket;
      follow([Buffer.concat([ok, key, ready]), "silence"])(socket);
    }, test);
    const result = await dial(request(at(port), wish), deps);
    if (result.kind !== "ready") throw new Error(describe(result));
    server?.resetAndDestroy();
    await until(() => result.server.socket.destroyed);
  },
);

await t.test(
  "prefer goes on without TLS when a server answers SSLRequest with an error",
  async (test) => {
    let connections = 0;
    const port = await peer((socket) => {
      const script = connections++ === 0 ? [Buffer.from("E")] : [Buffer.concat([ok, key, ready])];
      follow(script)(socket);
    }, test);
    const result = await dial(request(at(port, { mode: "prefer" }), wish), deps);
    test.equal(describe(result), "ready plain");
    destroy(result);
  },
);

await t.test("a server that is starting is not asked a second time", async (test) => {
  let connections = 0;
  const port = await peer((socket) => {
    connections++;
    follow([refusal])(socket);
  }, test);
  test.equal(
    describe(await dial(request(at(port, { mode: "allow" }), wish), deps)),
    "refused 57P03",
  );
  test.equal(connections, 1);
});

await t.test("an abort ends a dial wherever it is", async (test) => {
  for (const script of [["silence"], [ok, "silence"], [Buffer.from("S"), "silence"]] as Script[]) {
    const abort = new AbortController();
    const port = await peer((socket) => {
      follow(script)(socket);
      socket.on("data", () => abort.abort());
    }, test);
    const tls: Partial<ServerTls> = {
      mode: script.length === 2 && script[0] !== ok ? "require" : "disable",
    };
    const result = await dial(request(at(port, tls), wish, { signal: abort.signal }), deps);
    test.match(describe(result), /^failed backend_unreachable: .*given up/);
  }
  const signal = AbortSignal.abort();
  test.match(describe(await dial(request(at(1), wish, { signal }), deps)), /given up/);
});

await t.test("nobody there is said with the address", async (test) => {
  const port = await peer(() => {}, test);
  const closed = await new Promise<number>((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      resolve(socket.localPort ?? 0);
      socket.destroy();
    });
  });
  const rows: readonly (readonly [DialRequest, RegExp])[] = [
    [
      request(at(closed), wish),
      /^failed backend_unreachable: 127.0.0.1:\d+: connection failed: .*REFUSED/,
    ],
    [
      request(at(closed, {}, "localhost"), wish),
      /^failed backend_unreachable: localhost:\d+: .*REFUSED/,
    ],
    [
      request(at(5432, {}, "no-such-host.invalid"), wish),
      /^failed backend_unreachable: no-such-host/,
    ],
    [request(at(5432, {}, "/no/such/folder"), wish), /^failed backend_unreachable: .*ENOENT/],
  ];
  for (const [wished, outcome] of rows) test.match(describe(await dial(wished, deps)), outcome);
});

await t.test("a zero byte in a value cannot smuggle in a parameter", async (test) => {
  const port = await peer(follow(["silence"]), test);
  const parameters = [["user", "app\0database\0other"]] as const;
  const result = await dial({ ...request(at(port), wish), parameters }, deps);
  test.match(describe(result), /^failed protocol_violation: .*zero byte/);
});

await t.test(
  "whatever a server says in whatever pieces, a dial ends and says how",
  async (test) => {
    const good = Buffer.concat([ok, parameterStatus("a", "b"), key, ready]);
    const spoiled = fc
      .tuple(fc.nat(good.length - 1), fc.nat(255))
      .map(([index, byte]) => Buffer.from(good).fill(byte, index, index + 1));
    const garbage = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
    let say: Buffer = good;
    let cut = 0;
    const port = await peer((socket) => {
      socket.once("data", () => {
        socket.write(say.subarray(0, cut), () => setImmediate(() => socket.end(say.subarray(cut))));
      });
    }, test);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(spoiled, garbage, fc.constant(good)),
        fc.nat(64),
        async (bytes, at64) => {
          say = bytes;
          cut = at64;
          const result = await dial(request(at(port), wish), deps);
          destroy(result);
          return bytes !== good || result.kind === "ready";
        },
      ),
      { numRuns: 300 },
    );
  },
);

await t.test(
  "five hundred dials and cancels that fail leave no descriptor open",
  { skip: process.platform === "linux" ? false : "descriptors are counted in /proc" },
  async (test) => {
    const scripts: Script[] = [
      [refusal],
      ["reset"],
      [ok.subarray(0, 7)],
      ["silence"],
      [Buffer.from("S"), "reset"],
    ];
    const ports = await Promise.all(scripts.map((script) => peer(follow(script), test)));
    const before = descriptors();
    const failures = Array.from({ length: 500 }, async (_, index) => {
      const port = ports[index % ports.length] ?? 0;
      const mode = index % 2 === 0 ? "require" : "disable";
      const address = at(port, { mode });
      if (index % 10 < 8) return dial(request(address, wish, { timeoutMs: 300 }), deps);
      return sendCancel({
        address,
        processId: 1,
        secretKey: Buffer.alloc(4),
        encrypted: true,
        timeoutMs: 300,
      });
    });
    for (const outcome of await Promise.all(failures)) test.not(outcome.kind, "ready");
    await until(() => descriptors() <= before);
    test.ok(descriptors() <= before);
  },
);

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

function destroy(outcome: DialOutcome): void {
  if (outcome.kind === "ready") outcome.server.socket.destroy();
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("it did not come to pass");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
