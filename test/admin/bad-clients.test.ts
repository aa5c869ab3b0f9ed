import { connect } from "node:net";
import type { Socket } from "node:net";
import { randomBytes } from "node:crypto";
import tap from "tap";
import { exchangeBytes, startAdmin, until } from "./admin-under-test.ts";
import { fakeMigration, fakePorts } from "./fake-ports.ts";

const ORDERS = "/api/v1/migrations/orders";

const GARBAGE: readonly { why: string; bytes: string | Buffer; answer: RegExp }[] = [
  { why: "not HTTP at all", bytes: "\0\0\0\x08\x04\xd2\x16\x2f", answer: /^HTTP\/1.1 400/ },
  { why: "a PostgreSQL client", bytes: "Q\0\0\0\x0dSELECT 1\0", answer: /^HTTP\/1.1 400/ },
  { why: "TLS", bytes: "\x16\x03\x01\x02\0\x01\0", answer: /^HTTP\/1.1 400/ },
  {
    why: "a target that is none",
    bytes: "GET nope HTTP/1.1\r\nHost: localhost\r\n\r\n",
    answer: /^HTTP\/1.1 400/,
  },
  { why: "no host", bytes: "GET / HTTP/1.1\r\n\r\n", answer: /^HTTP\/1.1 400/ },
  {
    why: "headers without end",
    bytes: `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(20_000)}\r\n\r\n`,
    answer: /^HTTP\/1.1 431/,
  },
  {
    why: "two lengths of one body",
    bytes: `POST ${ORDERS}/route HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    answer: /^HTTP\/1.1 400/,
  },
  {
    why: "a chunk that is none",
    bytes: `POST ${ORDERS}/route HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    answer: /^HTTP\/1.1 400/,
  },
  { why: "a tunnel", bytes: "CONNECT db:5432 HTTP/1.1\r\nHost: localhost\r\n\r\n", answer: /^$/ },
  {
    why: "a body that says it is huge",
    bytes: `POST ${ORDERS}/route HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{`,
    answer: /^HTTP\/1.1 413/,
  },
];

void tap.test("what is not a request is refused, and nobody else notices", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")));
  t.teardown(admin.close);
  for (const { why, bytes, answer } of GARBAGE) {
    t.match(await exchangeBytes(admin.port, bytes), answer, why);
  }
  await Promise.all(
    Array.from({ length: 50 }, () =>
      exchangeBytes(admin.port, Buffer.concat([randomBytes(2000), Buffer.from("\r\n\r\n\r\n")])),
    ),
  );
  t.equal((await fetch(`${admin.url}/healthz`)).status, 200);
});

void tap.test("whoever takes too long over a request is hung up on", async (t) => {
  const limits = { headersMs: 200, requestMs: 400 };
  const admin = await startAdmin(fakePorts(fakeMigration("orders")), { limits });
  t.teardown(admin.close);
  const slow: readonly (readonly [why: string, bytes: string])[] = [
    ["silence", ""],
    ["half a line", "GET / HT"],
    ["half the headers", "GET / HTTP/1.1\r\nHost: localhost\r\n"],
    [
      "half a body",
      `POST ${ORDERS}/route HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n{`,
    ],
  ];
  const answers = await Promise.all(slow.map(([, bytes]) => exchangeBytes(admin.port, bytes)));
  for (const [index, [why]] of slow.entries()) {
    t.match(answers[index], /^(HTTP\/1.1 408|$)/, why);
  }
});

/** Opens an event stream and never reads a byte of it. */
function deafReader(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.pause();
      socket.write(`GET ${ORDERS}/events HTTP/1.1\r\nHost: localhost\r\n\r\n`, () =>
        resolve(socket),
      );
    });
    socket.once("error", reject);
  });
}

void tap.test("200 readers that do not read cost a bounded amount and are dropped", async (t) => {
  const migration = fakeMigration("orders");
  const bufferBytes = 64 * 1024;
  const admin = await startAdmin(fakePorts(migration), { limits: { bufferBytes } });
  t.teardown(admin.close);
  const sockets = await Promise.all(Array.from({ length: 200 }, () => deafReader(admin.port)));
  for (const socket of sockets) t.teardown(() => void socket.destroy());
  await until(() => migration.watchers() === 200);

  const reader = await fetch(`${admin.url}${ORDERS}/events`);
  let received = 0;
  const reading = (async () => {
    for await (const chunk of reader.body ?? []) received += (chunk as Uint8Array).length;
  })().catch(() => {});
  await until(() => migration.watchers() === 201);

  const detail = { text: "x".repeat(8000) };
  const before = process.memoryUsage().external + process.memoryUsage().heapUsed;
  let peak = before;
  let emitted = 0;
  // Socket buffers of the system take some megabytes each before anything waits here.
  while (migration.watchers() > 1 && emitted < 4000) {
    for (let i = 0; i < 4; i++) {
      migration.emit({ at: "2026-03-01T00:00:00.000Z", type: "session", detail });
    }
    emitted += 4;
    await new Promise((resolve) => void setImmediate(resolve));
    const { external, heapUsed } = process.memoryUsage();
    peak = Math.max(peak, external + heapUsed);
  }
  t.equal(migration.watchers(), 1, "the deaf are gone, the one who reads is not");
  const mostBytes = 200 * (bufferBytes + 16_384) + 64 * 1024 * 1024;
  t.ok(
    peak - before < mostBytes,
    `memory grew by ${Math.round((peak - before) / 1024)} kB at most`,
  );
  t.match(await admin.metrics.text(), "twinwire_admin_event_streams_dropped_total 200\n");
  await until(() => received > emitted * 8000);
  await admin.close();
  await reading;
});

void tap.test("a reader that stops reading between events is found by the heartbeat", async (t) => {
  const migration = fakeMigration("orders");
  const limits = { heartbeatMs: 20, bufferBytes: 32 * 1024 * 1024 };
  const admin = await startAdmin(fakePorts(migration), { limits });
  t.teardown(admin.close);
  const socket = await deafReader(admin.port);
  t.teardown(() => void socket.destroy());
  await until(() => migration.watchers() === 1);
  const text = "x".repeat(16 * 1024 * 1024);
  migration.emit({ at: "2026-03-01T00:00:00.000Z", type: "session", detail: { text } });
  await until(() => migration.watchers() === 0);
  t.pass("it was dropped");
});

void tap.test(
  "there are as many streams as the limit says, and room again after one has left",
  async (t) => {
    const migration = fakeMigration("orders");
    const admin = await startAdmin(fakePorts(migration), { limits: { streams: 2 } });
    t.teardown(admin.close);
    const leave = new AbortController();
    const open = (signal?: AbortSignal): Promise<Response> =>
      fetch(`${admin.url}${ORDERS}/events`, signal === undefined ? {} : { signal });
    await open();
    await open(leave.signal);
    const refused = await open();
    t.equal(refused.status, 503);
    t.match(await refused.json(), { code: "too_many_streams" });
    leave.abort();
    await until(() => migration.watchers() === 1);
    t.equal((await open()).status, 200);
  },
);

void tap.test("events arrive as they happen, with a sign of life between them", async (t) => {
  const migration = fakeMigration("orders");
  const admin = await startAdmin(fakePorts(migration), { limits: { heartbeatMs: 30 } });
  t.teardown(admin.close);
  const response = await fetch(`${admin.url}${ORDERS}/events`);
  t.equal(response.headers.get("content-type"), "text/event-stream");
  let text = "";
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array);
  })().catch(() => {});
  await until(() => migration.watchers() === 1);
  const event = {
    at: "2026-03-01T00:00:00.000Z",
    type: "phase",
    detail: { to: "on_new" },
  } as const;
  migration.emit(event);
  await until(() => text.includes(`event: phase\ndata: ${JSON.stringify(event)}\n\n`));
  await until(() => text.includes(": still here\n\n"));
  t.match(text, /^retry: 2000\n: events of orders\n\n/);
});
