import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import t from "tap";
import type { Test } from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { errorFields } from "../../src/wire/postgres/error-response.ts";
import { startTwinwire } from "../twinwire.ts";
import { startBackend } from "./raw-backend.ts";
import { ask, framesOf, masked, untilTrue } from "./raw-compare.ts";
import { copyData, frame, int16, int32, query, terminate } from "./raw-messages.ts";
import { connectionsWithUnread, descriptorsOf, eventually, memoryOf } from "./raw-process.ts";
import { cancelRaw, connectRaw, openRaw } from "./raw-session.ts";
import type { RawSession } from "./raw-session.ts";

const NOTHING = Buffer.alloc(0);
/** Code of a CancelRequest. */
const CANCEL_REQUEST = 80_877_102;
const hba = "host all all 127.0.0.1/32 trust";
const [old, mortal, shadow, backend] = await Promise.all([
  startPostgres({ major: 16, hba }),
  startPostgres({ major: 16, hba }),
  startPostgres({ major: 16, hba }),
  startBackend(),
]);
t.teardown(() => Promise.all([old.stop(), mortal.stop(), shadow.stop(), backend.stop()]));
await Promise.all([old, shadow].map((server) => ask(server, "create table inbox (body text)")));

const bad = `postgres://postgres@127.0.0.1:${backend.port}/postgres?sslmode=disable`;
const twinwire = await startTwinwire({
  migrations: [
    {
      name: "real",
      listen: { address: "127.0.0.1:0", login_timeout: "3s", max_connections: 600 },
      old: { url: old.url() },
      new: { url: shadow.url() },
      auth: { trust: true },
      shadow: { timeout: "1s" },
    },
    {
      name: "bad",
      listen: { address: "127.0.0.1:0" },
      old: { url: bad },
      new: { url: shadow.url() },
      auth: { trust: true },
      shadow: { enabled: false },
    },
    {
      name: "killable",
      listen: { address: "127.0.0.1:0" },
      old: { url: mortal.url() },
      new: { url: shadow.url() },
      auth: { trust: true },
      shadow: { timeout: "1s" },
    },
    {
      name: "narrow",
      listen: { address: "127.0.0.1:0", max_connections: 3 },
      old: { url: old.url() },
      new: { url: shadow.url() },
      auth: { trust: true },
      shadow: { enabled: false },
    },
  ],
});
t.teardown(() => twinwire.stop());

const portOf = (name: string): number =>
  Number(new URL(twinwire.url(name, "postgres", "", "postgres")).port);
const [real, misled, narrow] = [portOf("real"), portOf("bad"), portOf("narrow")];
const killable = portOf("killable");

async function sessionsOf(name: string): Promise<number> {
  const response = await fetch(`${twinwire.admin}/api/v1/migrations/${name}`, {
    headers: { connection: "close" },
  });
  return ((await response.json()) as { readonly sessions: number }).sessions;
}

/** Somebody who has nothing to do with any of it, in the middle of a transaction the whole time. */
const bystander = await openRaw(real);
bystander.send(query("begin; create temporary table mine (id int)"));
await bystander.until("Z");
let asked = 0;

async function bystanderIsWell(test: Test): Promise<void> {
  asked++;
  bystander.send(query(`insert into mine values (1); select count(*) from mine`));
  await bystander.until("Z");
  const text = bystander.frames().toString("latin1");
  test.ok(
    text.includes(`\0${String.fromCharCode(String(asked).length)}${asked}C`),
    "the bystander goes on",
  );
}

/** All that Twinwire has open when nobody but the bystander is there. */
await eventually("only the bystander", async () => (await sessionsOf("real")) === 1);
const descriptors = descriptorsOf(twinwire.pid);

/** Nothing is left of anybody: no session, no descriptor. The catalogue's connections come and go. */
async function nothingIsLeft(): Promise<void> {
  const others = ["bad", "narrow", "killable"];
  await eventually("only the bystander", async () => {
    const sessions = await Promise.all(others.map(sessionsOf));
    return (await sessionsOf("real")) === 1 && sessions.every((count) => count === 0);
  });
  await eventually(
    `${descriptors} descriptors`,
    () => descriptorsOf(twinwire.pid) <= descriptors + 2,
    () => descriptorsOf(twinwire.pid),
  );
}

/** The fields of the error a session was told last, which is the last it was told. */
function lastWords(session: RawSession): Record<string, string | undefined> {
  const bytes = session.frames();
  const last = [...framesOf(bytes)].at(-1);
  if (last?.type !== "E" || last.end !== bytes.length) return { last: last?.type };
  const fields = errorFields(bytes.subarray(last.start, last.end));
  return { severity: fields.get("S"), sqlstate: fields.get("C"), message: fields.get("M") };
}

const violation = (message: string): object => ({ severity: "FATAL", sqlstate: "08P01", message });

const GARBAGE: readonly [what: string, bytes: Buffer, message: string][] = [
  ["a type nobody knows", frame("z", "x"), 'invalid frontend message type "z"'],
  ["a message of the server's", frame("T", int16(0)), 'invalid frontend message type "T"'],
  ["bytes that are none", Buffer.alloc(100_000, 0), "invalid frontend message type 0x00"],
  [
    "a length that does not count itself",
    Buffer.concat([Buffer.from("Q"), int32(3)]),
    'invalid length 3 of frontend message type "Q"',
  ],
  [
    "a negative length",
    Buffer.concat([Buffer.from("P"), int32(-1), Buffer.alloc(5000)]),
    'invalid length 4294967295 of frontend message type "P"',
  ],
  [
    "a length beyond what any message may have",
    Buffer.concat([Buffer.from("d"), int32(0x40000000)]),
    'invalid length 1073741824 of frontend message type "d"',
  ],
  [
    "HTTP",
    Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    'invalid frontend message type "G"',
  ],
];

await t.test("bytes that are no messages end their session, saying why", async (test) => {
  for (const [what, bytes, message] of GARBAGE) {
    for (const before of [NOTHING, query("select 'answered'")]) {
      const session = await openRaw(real);
      if (before.length > 0) {
        session.send(before);
        await session.until("Z");
      }
      session.send(bytes);
      test.equal(await session.closed(), "end", what);
      test.match(lastWords(session), violation(message), what);
    }
    const slowly = await openRaw(real);
    await slowly.trickle(bytes.subarray(0, 200));
    await slowly.closed();
    test.match(lastWords(slowly), violation(message), `${what}, byte by byte`);
  }
  await bystanderIsWell(test);
  await nothingIsLeft();
});

await t.test("connections that never log in take nobody's place for long", async (test) => {
  const before = memoryOf(twinwire.pid).now;
  const startup = Buffer.concat([int32(60), int16(3), int16(0), Buffer.from("user\0post")]);
  const silent = await Promise.all(
    Array.from({ length: 1_000 }, async (_, n) => {
      const socket = connect({ port: real, host: "127.0.0.1" });
      socket.on("error", () => {});
      socket.resume();
      const closed = once(socket, "close");
      await once(socket, "connect");
      if (n % 4 === 0) socket.write(startup.subarray(0, n % startup.length));
      return { closed };
    }),
  );
  await eventually("they are connected", () => descriptorsOf(twinwire.pid) > descriptors + 700);
  await bystanderIsWell(test);
  const session = await openRaw(real);
  session.send(query("select 1"));
  await session.until("Z");
  session.send(terminate);
  await session.closed();
  await Promise.all(silent.map(({ closed }) => closed));
  test.pass("all of them have been closed");
  await nothingIsLeft();
  await eventually(
    "memory is back",
    () => memoryOf(twinwire.pid).now < before + 64,
    () => `${before} MB, then ${memoryOf(twinwire.pid).now}`,
  );
  await bystanderIsWell(test);
});

/** How a client may go. */
const GOING: readonly [how: string, go: (socket: Socket) => void][] = [
  ["closing", (socket) => void socket.end()],
  ["closing unread", (socket) => void socket.destroy()],
  ["resetting", (socket) => void socket.resetAndDestroy()],
];

await t.test("a client that vanishes leaves nothing behind", async (test) => {
  const named = [["application_name", "vanishing"]] as const;
  const gone = `select count(*) = 0 from pg_stat_activity where application_name = 'vanishing'`;
  for (const [how, go] of GOING) {
    const copying = await openRaw(real, { parameters: named });
    copying.send(query("copy inbox from stdin"));
    await copying.until("G");
    copying.send(
      copyData("a row\n"),
      copyData("half a ro"),
      copyData("x".repeat(200_000)).subarray(0, 150_000),
    );
    go(copying.socket);
    await untilTrue(old, gone);
    test.strictSame(await ask(old, "select count(*) from inbox"), [["0"]], `${how} in mid-COPY`);

    const flooded = await openRaw(real, { parameters: named });
    flooded.socket.pause();
    flooded.send(query("select repeat('x', 1000) from generate_series(1, 200000)"));
    await untilTrue(
      old,
      "select count(*) > 0 from pg_stat_activity where application_name = 'vanishing' and wait_event = 'ClientWrite'",
    );
    go(flooded.socket);
    if (how === "closing") flooded.socket.resume();
    await untilTrue(old, gone);
    test.pass(`${how} in the middle of a result it did not read`);

    const between = await openRaw(real, { parameters: named });
    between.send(query("begin; select 1"));
    await between.until("Z");
    between.socket.write(query("select 2").subarray(0, 7));
    go(between.socket);
    await untilTrue(old, gone);
    test.pass(`${how} in the middle of a message`);
  }
  await bystanderIsWell(test);
  await nothingIsLeft();
});

const description = frame(
  "T",
  int16(1),
  "a\0",
  int32(0),
  int16(0),
  int32(25),
  int16(-1),
  int32(-1),
  int16(0),
);
const row = frame("D", int16(1), int32(20), "x".repeat(20));

await t.test("a server that breaks off in mid-row is passed on as it is", async (test) => {
  for (const ending of ["end", "reset"] as const) {
    const heard = Buffer.concat([description, row, row.subarray(0, 17)]);
    let breakOff = (): void => {};
    backend.behave = {
      asked: (socket) => {
        socket.write(heard);
        breakOff = () => void (ending === "end" ? socket.end() : socket.resetAndDestroy());
      },
    };
    const session = await openRaw(misled);
    const greeting = session.frames().length;
    session.send(query("select a"));
    // A reset that comes together with bytes is an end to Node, whoever reads it.
    await session.seen((bytes) => bytes.length === greeting + heard.length);
    breakOff();
    test.equal(await session.closed(), ending);
    test.strictSame(session.frames().subarray(greeting), heard);
  }
  await bystanderIsWell(test);
  await nothingIsLeft();
});

const NONSENSE: readonly [
  what: string,
  pieces: readonly Buffer[],
  good: Buffer,
  message: string,
][] = [
  [
    "at once",
    [Buffer.from("HTTP/1.1 400")],
    NOTHING,
    'invalid length 1414811695 of backend message type "H"',
  ],
  ["a type", [frame("q", "x")], NOTHING, 'invalid backend message type "q"'],
  [
    "after rows",
    [Buffer.concat([description, row, frame("!")])],
    Buffer.concat([description, row]),
    'invalid backend message type "!"',
  ],
  [
    "after a row in two pieces",
    [
      Buffer.concat([description, row.subarray(0, 9)]),
      Buffer.concat([row.subarray(9), frame("!")]),
    ],
    Buffer.concat([description, row]),
    'invalid backend message type "!"',
  ],
  [
    "a length",
    [Buffer.concat([row, Buffer.from("D"), int32(0)])],
    row,
    'invalid length 0 of backend message type "D"',
  ],
];

await t.test("a server that answers nonsense is named to the client", async (test) => {
  for (const [what, pieces, good, message] of NONSENSE) {
    backend.behave = {
      asked: (socket) => {
        const next = (left: readonly Buffer[]): void => {
          const [piece, ...rest] = left;
          // Each piece travels alone: the next leaves when the client has the one before.
          if (piece !== undefined) socket.write(piece, () => setTimeout(() => next(rest), 20));
        };
        next(pieces);
      },
    };
    const session = await openRaw(misled);
    const greeting = session.frames().length;
    session.send(query("select a"));
    await session.closed();
    test.match(lastWords(session), violation(message), what);
    const bytes = session.frames().subarray(greeting);
    test.strictSame(bytes.subarray(0, good.length), good, `${what}: what made sense has arrived`);
  }
  await bystanderIsWell(test);
  await nothingIsLeft();
});

await t.test("a server that says nothing holds up nobody else", async (test) => {
  backend.behave = { connected: (socket) => void socket.resume() };
  const unanswered = await connectRaw(misled);
  await eventually("it has been dialled", () => backend.open() > 0);
  await bystanderIsWell(test);
  unanswered.socket.destroy();
  backend.behave = { asked: (socket) => void socket.resume() };
  const waiting = await openRaw(misled);
  waiting.send(query("select 1"));
  await bystanderIsWell(test);
  waiting.socket.resetAndDestroy();
  await eventually("nobody waits", async () => (await sessionsOf("bad")) === 0);
  await nothingIsLeft();
});

await t.test(
  "a killed server ends its sessions and serves new ones once it is back",
  async (test) => {
    const idle = await openRaw(killable);
    const directIdle = await openRaw(mortal.port);
    const flooded = await openRaw(killable);
    flooded.send(query("select repeat('x', 1000), generate_series(1, 100000000)"));
    await flooded.until("TDDD");
    const busy = await openRaw(killable);
    const directBusy = await openRaw(mortal.port);
    for (const session of [busy, directBusy]) session.send(query("select pg_sleep(60)"));
    await untilTrue(
      mortal,
      "select count(*) = 2 from pg_stat_activity where query like '%pg_sleep(60)'",
    );
    // A server reads all that has come before it begins with the first query. What came while it slept is unread when
    // it dies, which makes its end a reset; so it must have come on both connections.
    for (const session of [busy, directBusy]) session.send(query("select 'not read'"));
    await eventually("unread queries", () => connectionsWithUnread(mortal.port) === 2);
    mortal.kill();
    for (const [through, direct, how] of [
      [idle, directIdle, "end"],
      [busy, directBusy, "reset"],
    ] as const) {
      test.equal(await direct.closed(), how);
      test.equal(await through.closed(), how);
      test.strictSame(masked(through.frames()), masked(direct.frames()));
    }
    await flooded.closed();
    await mortal.restart();
    const after = await openRaw(killable);
    after.send(query("select 1"), terminate);
    await after.until("Z");
    await after.closed();
    await bystanderIsWell(test);
    await nothingIsLeft();
  },
);

await t.test("a cancel request is closed when the server has it, not before", async (test) => {
  // A client that reuses its connection at once would otherwise have its next statement cancelled.
  const held: Socket[] = [];
  const sleeping = "query = 'select pg_sleep(60)'";
  backend.behave = {
    connected: (socket) => {
      socket.once("data", (first: Buffer) => {
        if (first.readUInt32BE(4) === CANCEL_REQUEST) return void held.push(socket);
        const server = connect({ port: old.port, host: "127.0.0.1", noDelay: true });
        server.on("error", () => {});
        server.write(first);
        socket.pipe(server).pipe(socket);
      });
    },
  };
  const session = await openRaw(misled);
  session.send(query("select pg_sleep(60)"));
  await untilTrue(old, `select count(*) = 1 from pg_stat_activity where ${sleeping}`);
  let closed = false;
  const cancelled = cancelRaw(misled, session.key).then(() => (closed = true));
  await eventually("the request is under way", () => held.length === 1);
  await bystanderIsWell(test);
  test.notOk(closed, "the server has not closed it, so neither has Twinwire");
  held[0]?.end();
  await cancelled;
  session.socket.resetAndDestroy();
  await ask(old, `select pg_terminate_backend(pid) from pg_stat_activity where ${sleeping}`);
  await nothingIsLeft();
});

await t.test("who finds no place is told so, and leaves no trace", async (test) => {
  const seated = [await openRaw(narrow), await openRaw(narrow), await openRaw(narrow)];
  for (let attempt = 0; attempt < 20; attempt++) {
    const late = await connectRaw(narrow);
    await late.closed();
    test.match(lastWords(late), { severity: "FATAL", sqlstate: "53300" });
  }
  for (const { socket } of seated) socket.destroy();
  await eventually("the seats are free", async () => (await sessionsOf("narrow")) === 0);
  const refused = [
    { parameters: [["database", "elsewhere"]], sqlstate: "3D000" },
    { parameters: [["user", "nobody_known"]], sqlstate: "28000" },
    { parameters: [["options", "-c nonsense=1"]], sqlstate: "42704" },
  ] as const;
  for (const { parameters, sqlstate } of refused) {
    for (let attempt = 0; attempt < 5; attempt++) {
      const session = await connectRaw(real, { parameters });
      await session.closed();
      test.match(lastWords(session), { severity: "FATAL", sqlstate });
    }
  }
  await nothingIsLeft();
  await bystanderIsWell(test);
});

await t.test("after all of it the bystander can commit", async (test) => {
  bystander.send(query("commit"));
  await bystander.until("CZ");
  bystander.send(terminate);
  test.equal(await bystander.closed(), "end");
  test.equal(await sessionsOf("real"), 0);
});
