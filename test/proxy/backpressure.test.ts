import { kill } from "node:process";
import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import type { Test } from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { startTwinwire } from "../twinwire.ts";
import { ask, untilTrue } from "./raw-compare.ts";
import { copyData, copyDone, frame, int16, int32, parse, query, sync } from "./raw-messages.ts";
import { startBackend } from "./raw-backend.ts";
import { eventually, memoryOf } from "./raw-process.ts";
import { openFlow } from "./raw-flow.ts";

const MEGABYTE = 1_000_000;
/** What a session may add to Twinwire's memory, whatever passes through it. */
const BOUND_MB = 64;

const hba = "host all all 127.0.0.1/32 trust";
const [old, shadow] = await Promise.all([
  startPostgres({ major: 16, hba }),
  startPostgres({ major: 16, hba }),
]);
t.teardown(() => Promise.all([old.stop(), shadow.stop()]));
await ask(
  old,
  "create unlogged table inbox (body text); alter table inbox alter body set storage external",
);

/** A process for each: the most memory it ever had is then that of one case. */
async function startFor(mirrored: boolean, test: Test) {
  const twinwire = await startTwinwire({
    migrations: [
      {
        name: "m",
        listen: { address: "127.0.0.1:0" },
        old: { url: old.url() },
        new: { url: shadow.url() },
        auth: { trust: true },
        shadow: { enabled: mirrored, timeout: "100s" },
      },
    ],
  });
  test.teardown(() => twinwire.stop());
  const port = Number(new URL(twinwire.url("m", "postgres", "", "postgres")).port);
  const verdicts = async (): Promise<{ readonly match: number; readonly divergent: number }> => {
    const response = await fetch(`${twinwire.admin}/api/v1/migrations/m`);
    return ((await response.json()) as { verdicts: { match: number; divergent: number } }).verdicts;
  };
  // First a tenth of it, so that what is counted is not Twinwire warming up.
  const flow = await openFlow(port, "warm");
  flow.socket.write(query("select repeat('x', 100000) from generate_series(1, 1000)"));
  await flow.until("Z");
  flow.socket.destroy();
  return { pid: twinwire.pid, port, verdicts, before: memoryOf(twinwire.pid).peak };
}

function isBounded(
  test: Test,
  { pid, before }: { pid: number; before: number },
  what: string,
): void {
  const { peak } = memoryOf(pid);
  test.ok(
    peak - before < BOUND_MB,
    `${what}: ${(peak - before).toFixed(0)} MB more than ${before.toFixed(0)}`,
  );
}

const activity = (condition: string): string =>
  `select count(*) = 1 from pg_stat_activity where application_name = 'flow' and ${condition}`;

/** Backends of the test's own client on a server: to be stopped and continued. */
async function backendPid(server: EmbeddedPostgres): Promise<number> {
  const [row] = await ask(
    server,
    "select pid from pg_stat_activity where application_name = 'flow'",
  );
  return Number(row?.[0]);
}

for (const mirrored of [false, true]) {
  const how = mirrored ? "with everything compared" : "without a shadow";
  await t.test(`a result of 1 GB waits for a client that does not read, ${how}`, async (test) => {
    const twinwire = await startFor(mirrored, test);
    const flow = await openFlow(twinwire.port, "flow");
    flow.socket.pause();
    flow.socket.write(query("select repeat('x', 100000) from generate_series(1, 10000)"));
    await untilTrue(old, activity("wait_event = 'ClientWrite'"));
    isBounded(test, twinwire, "while it does not read");
    flow.socket.resume();
    await flow.until("Z");
    test.equal(flow.frames("D"), 10_000);
    test.ok(flow.bytes() > 1_000 * MEGABYTE, `${flow.bytes()} bytes`);
    isBounded(test, twinwire, "after all of it");
    if (mirrored) {
      await eventually("compared", async () => (await twinwire.verdicts()).match === 2);
      test.equal((await twinwire.verdicts()).divergent, 0);
      isBounded(test, twinwire, "compared");
    }
    flow.socket.destroy();
  });
}

await t.test("a COPY of 400 MB waits for a server that does not read", async (test) => {
  const twinwire = await startFor(true, test);
  const flow = await openFlow(twinwire.port, "flow");
  flow.socket.write(query("begin; copy inbox from stdin"));
  await flow.until("G");
  const rows = copyData(`${"x".repeat(9_999)}\n`.repeat(100));
  const pid = await backendPid(old);
  kill(pid, "SIGSTOP");
  let stopped = true;
  for (let sent = 0; sent < 400; sent++) {
    if (!flow.socket.write(rows)) {
      if (stopped) {
        await eventually(
          "nothing moves",
          stalled(() => flow.socket.writableLength),
        );
        isBounded(test, twinwire, "while the server is stopped");
        kill(pid, "SIGCONT");
        stopped = false;
      }
      while (flow.socket.writableNeedDrain) await turn();
    }
  }
  flow.socket.write(copyDone);
  await flow.until("CZ");
  test.equal(flow.lastTag(), "COPY 40000");
  isBounded(test, twinwire, "after all of it");
  flow.socket.write(query("rollback"));
  await flow.until("Z");
  flow.socket.destroy();
});

/** True once a number has not changed over some turns of a while. */
function stalled(value: () => number): () => boolean {
  let before = Number.NaN;
  let same = 0;
  return () => {
    same = value() === before ? same + 1 : 0;
    before = value();
    return same > 20;
  };
}

await t.test("a single field of 300 MB passes in both directions", async (test) => {
  const twinwire = await startFor(true, test);
  const flow = await openFlow(twinwire.port, "flow");
  const size = 300 * MEGABYTE;
  flow.socket.write(parse("", "select $1::bytea, length($1)"));
  // Bind of an unnamed portal with one binary parameter; all results binary.
  const before = [Buffer.from("\0\0"), int16(1), int16(1), int16(1), int32(size)];
  const after = [int16(1), int16(1)];
  const length = [...before, ...after].reduce((sum, part) => sum + part.length, 4 + size);
  flow.socket.write(Buffer.concat([Buffer.from("B"), int32(length), ...before]));
  const piece = Buffer.alloc(MEGABYTE, 7);
  for (let sent = 0; sent < size; sent += piece.length) {
    if (!flow.socket.write(piece)) while (flow.socket.writableNeedDrain) await turn();
  }
  flow.socket.write(Buffer.concat([...after, frame("E", "\0", int32(0)), sync]));
  await flow.until("Z");
  test.equal(flow.bytesOf("D"), 5 + 2 + 4 + size + 4 + 4);
  isBounded(test, twinwire, "after all of it");
  flow.socket.destroy();
});

await t.test("a result in small pieces goes on once its client reads again", async (test) => {
  // Node says that a socket is writable again only if more than 16 kB had to wait.
  const backend = await startBackend();
  test.teardown(() => backend.stop());
  const twinwire = await startTwinwire({
    migrations: [
      {
        name: "m",
        listen: { address: "127.0.0.1:0" },
        old: { url: `postgres://postgres@127.0.0.1:${backend.port}/postgres?sslmode=disable` },
        new: { url: shadow.url() },
        auth: { trust: true },
        shadow: { enabled: false },
      },
    ],
  });
  test.teardown(() => twinwire.stop());
  const piece = frame("D", int16(1), int32(5_000), "x".repeat(5_000));
  let sent = 0;
  let full = false;
  backend.behave = {
    asked: async (socket) => {
      for (; !full; sent++) {
        full = !socket.write(piece);
        await turn();
      }
    },
  };
  const flow = await openFlow(
    Number(new URL(twinwire.url("m", "postgres", "", "postgres")).port),
    "flow",
  );
  flow.socket.pause();
  flow.socket.write(query("select"));
  await eventually("everybody waits", () => full);
  flow.socket.resume();
  await eventually(
    "all has arrived",
    () => flow.frames("D") === sent,
    () => `${flow.frames("D")} of ${sent}`,
  );
  test.pass();
  flow.socket.destroy();
});
