import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import fc from "fast-check";
import t from "tap";
import { openClientTls } from "../../src/proxy/startup/client-tls.ts";
import type { KnownUser } from "../../src/proxy/startup/login.ts";
import { message } from "../../src/wire/postgres/backend-messages.ts";
import { errorFields } from "../../src/wire/postgres/error-response.ts";
import { answerScram, readServerFirst, startScram } from "../../src/wire/postgres/scram-client.ts";
import {
  deriveScramKeys,
  formatScramVerifier,
  scramVerifierOf,
} from "../../src/wire/postgres/scram.ts";
import { encodeStartup } from "../../src/wire/postgres/startup.ts";
import { authorityCert, serverCert, serverKey } from "../tls/certificates.ts";
import { converse, startListener } from "./startup-listener.ts";

const tls = openClientTls({ cert: serverCert, key: serverKey });
const salt = Buffer.alloc(16, 3);
const keys = await deriveScramKeys("secret", salt, 4096);
const users: Readonly<Record<string, KnownUser>> = {
  stored: { kind: "verifier", verifier: formatScramVerifier(scramVerifierOf(keys, salt, 4096)) },
  known: { kind: "password", password: "secret" },
  anyone: { kind: "trust" },
};
const listener = await startListener(users, { tls });
t.teardown(() => listener.stop());

const sslRequest = encodeStartup({ type: "ssl_request" });
const startup = (name: string): Buffer =>
  encodeStartup({
    type: "startup",
    minor: 0,
    parameters: [
      ["user", name],
      ["database", "shop"],
    ],
  });

/** What the last frame says, if it is an ErrorResponse. */
function lastError(said: Buffer): string {
  const at = said.lastIndexOf("ESFATAL") >= 0 ? said.lastIndexOf("ESFATAL") : said.indexOf(0x45);
  const fields = at < 0 ? new Map<string, string>() : errorFields(said.subarray(at));
  return `${fields.get("C") ?? ""} ${fields.get("M") ?? ""}`.trim();
}

/** Everything a client of user `stored` says, its answer to the challenge included: the nonce is fixed. */
function wholeLogin(): { readonly sent: Buffer; readonly nonce: Uint8Array } {
  const nonce = Buffer.alloc(18, 5);
  const start = startScram("clientNonce", { kind: "none" });
  const joined = `clientNonce${nonce.toString("base64")}`;
  const first = `r=${joined},s=${salt.toString("base64")},i=4096`;
  const challenge = readServerFirst(start, first);
  if (challenge.kind !== "challenge") throw new Error(challenge.reason);
  const size = Buffer.alloc(4);
  size.writeInt32BE(start.message.length);
  const sent = Buffer.concat([
    startup("stored"),
    message("p", Buffer.from("SCRAM-SHA-256\0"), size, Buffer.from(start.message)),
    message("p", Buffer.from(answerScram(challenge, keys).message)),
  ]);
  return { sent, nonce };
}

const login = wholeLogin();
const fixed = await startListener(users, { tls, randomBytes: () => login.nonce });
t.teardown(() => fixed.stop());

const ready = (said: Buffer): boolean =>
  said.subarray(-6).equals(Buffer.from("5a0000000549", "hex"));

void t.test("a login means the same however its bytes are cut", async (test) => {
  const whole = await converse(fixed.port, [login.sent], ready);
  test.ok(ready(whole));
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: login.sent.length - 1 }), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(cuts, async (some) => {
      const places = [0, ...some.toSorted((a, b) => a - b), login.sent.length];
      const pieces = places.slice(1).map((end, index) => login.sent.subarray(places[index], end));
      assert.deepEqual(await converse(fixed.port, pieces, ready), whole);
    }),
    { numRuns: 60 },
  );
  const each = Array.from(login.sent, (_, index) => login.sent.subarray(index, index + 1));
  test.same(await converse(fixed.port, each, ready), whole, "byte by byte");
});

void t.test("what comes after the login is handed over", async (test) => {
  const before = fixed.outcomes.length;
  const query = message("Q", Buffer.from("select\0"));
  const twice = (said: Buffer): boolean =>
    said.toString("latin1").split("Z\0\0\0\u0005I").length === 3;
  await converse(fixed.port, [Buffer.concat([login.sent, query])], twice);
  const outcome = fixed.outcomes[before];
  test.equal(outcome?.kind, "client");
  if (outcome?.kind === "client") test.same(outcome.leftover, query);
});

void t.test(
  "thousands of broken logins end, are told why and leave nothing behind",
  async (test) => {
    const before = fixed.outcomes.length;
    const damage = fc.oneof(
      fc.record({
        kind: fc.constant("overwritten" as const),
        at: fc.nat(login.sent.length - 1),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
      }),
      fc.record({
        kind: fc.constant("cut" as const),
        at: fc.nat(login.sent.length - 1),
        bytes: fc.constant(new Uint8Array()),
      }),
      fc.record({
        kind: fc.constant("garbage" as const),
        at: fc.constant(0),
        bytes: fc.uint8Array({ maxLength: 60 }),
      }),
    );
    const broken = damage.map(({ kind, at, bytes }) => {
      if (kind === "garbage") return Buffer.from(bytes);
      const copy = Buffer.from(login.sent.subarray(0, kind === "cut" ? at : undefined));
      copy.set(bytes.subarray(0, copy.length - at), at);
      return copy;
    });
    const all = fc.sample(broken, 10_000);
    const reasons = new Map<string, number>();
    for (let at = 0; at < all.length; at += 50) {
      await Promise.all(all.slice(at, at + 50).map((bytes) => halfClosing(fixed.port, bytes)));
    }
    for (const outcome of (await fixed.decided(before + all.length)).slice(before)) {
      const what = outcome.kind === "ended" ? outcome.reason : outcome.kind;
      reasons.set(what, (reasons.get(what) ?? 0) + 1);
    }
    test.comment([...reasons].join("; "));
    test.equal(reasons.get("internal"), undefined);
    for (const reason of ["closed", "malformed", "unsupported"])
      test.ok(reasons.get(reason), reason);
    await until(() => fixed.open() === 0);
    test.equal(fixed.open(), 0, "no connection is left open");
  },
);

/** Sends bytes and the end of the stream, and waits for the other end. */
async function halfClosing(port: number, bytes: Buffer): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  socket.resume();
  socket.end(bytes);
  await once(socket, "close");
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition() && Date.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve));
}

void t.test("bytes that are no startup packet are called that", async (test) => {
  for (const [why, hex, error] of [
    [
      "HTTP",
      Buffer.from("GET / HTTP/1.1\r\n\r\n").toString("hex"),
      "08P01 invalid length of startup packet",
    ],
    ["an endless length", "7fffffff00030000", "08P01 invalid length of startup packet"],
    ["a negative length", "ffffffff", "08P01 invalid length of startup packet"],
    ["a length beyond the limit", "00002715 00030000", "08P01 invalid length of startup packet"],
    [
      "text that is not UTF-8",
      "0000000d 00030000 7500 ff00 00",
      "22021 startup parameters are not UTF-8",
    ],
  ] as const) {
    const said = await converse(listener.port, [Buffer.from(hex.replaceAll(" ", ""), "hex")]);
    test.equal(lastError(said), error, why);
  }
  const megabytes = Buffer.alloc(5_000_000, 0x41);
  const said = await converse(listener.port, [megabytes]);
  test.equal(
    lastError(said),
    "08P01 invalid length of startup packet",
    "and read, however much it is",
  );
});

void t.test("plain text on the heels of a request for TLS is refused", async (test) => {
  const said = await converse(listener.port, [Buffer.concat([sslRequest, startup("anyone")])]);
  test.equal(lastError(said), "08P01 received unencrypted data after SSL request");
});

void t.test("a client that stalls is cut off when its time is up", async (test) => {
  const hasty = await startListener(users, { tls, loginTimeoutMs: 300 });
  test.teardown(() => hasty.stop());
  const timeout = "57014 canceling authentication due to timeout";
  for (const [why, sent, error, reason] of [
    ["half a packet", startup("anyone").subarray(0, 9), timeout, "timeout"],
    ["nothing", Buffer.alloc(0), timeout, "timeout"],
    ["no answer to the challenge", startup("stored"), timeout, "timeout"],
    ["TLS not begun", sslRequest, "", "tls_failed"],
    ["half a handshake", Buffer.from("1603010200010001", "hex"), "", "tls_failed"],
  ] as const) {
    const before = hasty.outcomes.length;
    const said = await converse(hasty.port, [sent]);
    test.equal(lastError(said), error, why);
    const outcomes = await hasty.decided(before + 1);
    test.match(outcomes[before], { kind: "ended", reason }, why);
  }
  await until(() => hasty.open() === 0);
  test.equal(hasty.open(), 0);
});

void t.test("a thousand silent connections cost little and all end", async (test) => {
  const hasty = await startListener(users, { loginTimeoutMs: 3000 });
  test.teardown(() => hasty.stop());
  const silent: Socket[] = [];
  for (let count = 0; count < 1000; count++) {
    const socket = connect(hasty.port, "127.0.0.1");
    socket.on("error", () => {}).resume();
    silent.push(socket);
  }
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  const said = await converse(hasty.port, [startup("anyone")], ready);
  test.ok(ready(said), "another client gets through");
  await hasty.decided(1001);
  test.equal(hasty.outcomes.filter((outcome) => outcome.kind === "ended").length, 1000);
  await until(() => hasty.open() === 0);
  test.equal(hasty.open(), 0);
});

async function overTls(
  port: number,
  options: ConnectionOptions,
  plain?: Socket,
): Promise<TLSSocket> {
  const socket = connectTls({
    ca: authorityCert,
    port,
    host: "127.0.0.1",
    ...(plain ? { socket: plain } : {}),
    ...options,
  });
  await once(socket, "secureConnect");
  return socket;
}

async function afterSslRequest(port: number): Promise<Socket> {
  const plain = connect(port, "127.0.0.1");
  plain.write(sslRequest);
  const [answer] = (await once(plain, "data")) as [Buffer];
  assert.equal(answer.toString(), "S");
  return plain;
}

/** All that comes until `enough`, or the end. */
async function hear(socket: Socket, enough: (said: Buffer) => boolean): Promise<Buffer> {
  let said = Buffer.alloc(0);
  return new Promise((resolve) => {
    socket.on("data", (bytes: Buffer) => {
      said = Buffer.concat([said, bytes]);
      if (enough(said)) resolve(said);
    });
    socket.on("error", () => resolve(said));
    socket.on("close", () => resolve(said));
  });
}

void t.test("TLS may begin at once, if it names the protocol", async (test) => {
  const clients = Array.from({ length: 100 }, async () => {
    const socket = await overTls(listener.port, { ALPNProtocols: ["postgresql"] });
    socket.write(startup("anyone"));
    const said = await hear(socket, ready);
    socket.destroy();
    return ready(said);
  });
  test.ok((await Promise.all(clients)).every(Boolean), "a hundred at a time");

  const before = listener.outcomes.length;
  const nameless = await overTls(listener.port, {});
  nameless.write(startup("anyone"));
  test.equal((await hear(nameless, ready)).length, 0, "no ALPN");
  const outcomes = await listener.decided(before + 1);
  test.match(outcomes[before], { kind: "ended", reason: "tls_failed" });
  await test.rejects(overTls(listener.port, { ALPNProtocols: ["http/1.1"] }), "another ALPN");
  const plainOnly = await startListener(users);
  test.teardown(() => plainOnly.stop());
  await test.rejects(overTls(plainOnly.port, { ALPNProtocols: ["postgresql"] }), "no TLS here");
});

/** A client's TLS over a connection that stays in reach, sent in pieces of `size` bytes. */
async function tlsOver(raw: Socket, size: number): Promise<TLSSocket> {
  raw.setNoDelay(true);
  const between = new Duplex({
    read: () => {},
    write: (bytes: Buffer, _encoding, done) => {
      void sendInPieces(raw, bytes, size, done);
    },
  });
  raw.on("data", (bytes: Buffer) => between.push(bytes));
  raw.on("close", () => between.push(null));
  const options = { ca: authorityCert, host: "localhost", ALPNProtocols: ["postgresql"] };
  const socket = connectTls({ ...options, socket: between });
  socket.on("error", () => {});
  await once(socket, "secureConnect");
  return socket;
}

async function sendInPieces(
  socket: Socket,
  bytes: Buffer,
  size: number,
  done: () => void,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    socket.write(bytes.subarray(at, at + size));
    await new Promise((resolve) => setImmediate(resolve));
  }
  done();
}

void t.test("a handshake may come in any pieces", async (test) => {
  for (const size of [1, 2, 7, 100]) {
    const raw = connect(listener.port, "127.0.0.1");
    const socket = await tlsOver(raw, size);
    socket.write(startup("anyone"));
    test.ok(ready(await hear(socket, ready)), `${size} bytes at a time`);
    raw.destroy();
  }
});

void t.test("nothing may be asked for over TLS that was answered before it", async (test) => {
  for (const [why, direct, packet, expected] of [
    [
      "TLS over negotiated TLS",
      false,
      sslRequest,
      "0A000 unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2",
    ],
    [
      "GSSAPI over negotiated TLS",
      false,
      encodeStartup({ type: "gssenc_request" }),
      "0A000 unsupported frontend protocol 1234.5680: server supports 3.0 to 3.2",
    ],
    ["TLS over direct TLS", true, sslRequest, "N"],
    ["GSSAPI over direct TLS", true, encodeStartup({ type: "gssenc_request" }), "N"],
  ] as const) {
    const socket = direct
      ? await overTls(listener.port, { ALPNProtocols: ["postgresql"] })
      : await overTls(listener.port, {}, await afterSslRequest(listener.port));
    socket.write(packet);
    const said = await hear(socket, (all) => all.toString() === "N");
    test.equal(said.toString() === "N" ? "N" : lastError(said), expected, why);
    socket.destroy();
  }
});

void t.test("a handshake that fails ends quietly", async (test) => {
  const own = await startListener(users, { tls });
  test.teardown(() => own.stop());
  const plain = await afterSslRequest(own.port);
  plain.write("this is no ClientHello, but long enough to be taken for one");
  await hear(plain, () => false);
  await assert.rejects(
    overTls(
      own.port,
      { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" },
      await afterSslRequest(own.port),
    ),
  );
  const gone = await afterSslRequest(own.port);
  gone.resetAndDestroy();
  const outcomes = await own.decided(3);
  for (const outcome of outcomes) test.match(outcome, { kind: "ended", reason: "tls_failed" });
});

void t.test("a session gets its stream paused and without listeners", async (test) => {
  const seen: unknown[] = [];
  const watching = await startListener(users, { tls }, (socket) => {
    const listeners = ["readable", "data", "error", "secure", "drain"];
    seen.push([socket.isPaused(), listeners.map((event) => socket.listenerCount(event))]);
  });
  test.teardown(() => watching.stop());
  for (const encrypted of [false, true]) {
    const plain = encrypted
      ? await afterSslRequest(watching.port)
      : connect(watching.port, "127.0.0.1");
    const client = encrypted ? await overTls(watching.port, {}, plain) : plain;
    client.write(startup("anyone"));
    await hear(client, ready);
    client.destroy();
  }
  test.same(seen, [
    [true, [0, 0, 0, 0, 0]],
    [true, [0, 0, 0, 0, 0]],
  ]);
});

void t.test("a corrupt record after the login ends a TLS session", async (test) => {
  const own = await startListener(users, { tls });
  test.teardown(() => own.stop());
  const raw = connect(own.port, "127.0.0.1");
  const client = await tlsOver(raw, 10_000);
  client.write(startup("anyone"));
  test.ok(ready(await hear(client, ready)));
  const closed = once(raw, "close");
  raw.write(Buffer.from(`1703030030${"00".repeat(48)}`, "hex"));
  await closed;
  await until(() => own.open() === 0);
  test.equal(own.open(), 0);
});

void t.test("a request to cancel is read, over TLS as well", async (test) => {
  const long = Buffer.alloc(256, 7);
  const short = Buffer.from("01020304", "hex");
  const packet = (secretKey: Buffer): Buffer =>
    encodeStartup({ type: "cancel_request", processId: 77, secretKey });
  const before = listener.outcomes.length;
  test.equal((await converse(listener.port, [packet(short)])).length, 0, "answered by closing");
  const plain = await afterSslRequest(listener.port);
  const socket = await overTls(listener.port, {}, plain);
  socket.write(packet(long));
  test.equal((await hear(socket, () => false)).length, 0, "answered by closing");
  test.match((await listener.decided(before + 2)).slice(before), [
    { kind: "cancel", processId: 77, secretKey: short },
    { kind: "cancel", processId: 77, secretKey: long },
  ]);
});

void t.test("a lookup that fails, or takes too long, is told as that", async (test) => {
  const failing = await startListener(users, {
    userOf: () => Promise.reject(new Error("down")),
  });
  test.teardown(() => failing.stop());
  const said = await converse(failing.port, [startup("known")]);
  test.equal(lastError(said), "57P03 Twinwire cannot check passwords at the moment");
  const hanging = await startListener(users, {
    userOf: () => new Promise(() => {}),
    loginTimeoutMs: 60,
  });
  test.teardown(() => hanging.stop());
  const later = await converse(hanging.port, [startup("known")]);
  test.equal(lastError(later), "57014 canceling authentication due to timeout");
  const gone = connect(failing.port, "127.0.0.1");
  gone.end(startup("known").subarray(0, 5));
  await failing.decided(2);
  test.match(failing.outcomes[1], { kind: "ended", reason: "closed" });
});

void t.test("a certificate that is none is refused ahead", async (test) => {
  test.throws(() => openClientTls({ cert: "nonsense", key: serverKey }));
  test.throws(() => openClientTls({ cert: serverCert, key: "nonsense" }));
  test.throws(() => openClientTls({ cert: authorityCert, key: serverKey }), "not its key");
});
