/** What an operator or an orchestrator sees and does: probes, signals, metrics. */
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import pg from "pg";
import t from "tap";
import { migrationConfig, startMirrored, until } from "../mirror/mirrored.ts";
import type { Mirrored } from "../mirror/mirrored.ts";
import { DATABASE, startTwoSides, USER } from "../mirror/two-sides.ts";
import { query } from "./raw-messages.ts";
import { openRaw } from "./raw-session.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both("create table kept (client int, number int)");

type Probe = { readonly status: number; readonly body: { readonly reasons?: readonly string[] } };

async function probe(twinwire: Mirrored, path: string): Promise<Probe> {
  const response = await fetch(`${twinwire.admin}${path}`);
  return { status: response.status, body: (await response.json()) as Probe["body"] };
}

/** A client whose connection Twinwire ends: the error it is told. */
async function clientToEnd(
  twinwire: Mirrored,
): Promise<{ readonly client: pg.Client; readonly end: Promise<pg.DatabaseError> }> {
  const client = new pg.Client(twinwire.connection);
  const end = new Promise<pg.DatabaseError>((resolve) => client.once("error", resolve as never));
  client.on("error", () => {});
  await client.connect();
  return { client, end };
}

await t.test("the probes tell an orchestrator whether to send traffic", async (test) => {
  const twinwire = await startMirrored(sides);
  test.teardown(() => twinwire.stop());
  test.equal((await probe(twinwire, "/healthz")).status, 200);
  test.equal((await probe(twinwire, "/readyz")).status, 200);
  sides.new.kill();
  const failed = new pg.Client(twinwire.connection);
  await failed.connect();
  await failed.end();
  sides.old.kill();
  const down = await until("not to be ready", async () => {
    const answer = await probe(twinwire, "/readyz");
    return answer.status === 503 ? answer : undefined;
  });
  test.match(down.body.reasons?.[0], /^shop: the primary \(old\) cannot be reached/);
  test.equal(down.body.reasons?.length, 1, "a shadow that is down stops nobody");
  test.equal((await probe(twinwire, "/healthz")).status, 200, "the process itself is fine");
  const refused = new pg.Client(twinwire.connection);
  await test.rejects(refused.connect(), { code: "08006" });
  await Promise.all([sides.old.restart(), sides.new.restart()]);
  await until("to be ready", async () => (await probe(twinwire, "/readyz")).status === 200);
  const client = await twinwire.client();
  test.equal((await client.query("select 1")).rowCount, 1);
});

await t.test("SIGTERM lets open transactions end and no new ones begin", async (test) => {
  const twinwire = await startMirrored(sides);
  test.teardown(() => twinwire.stop());
  const idle = await clientToEnd(twinwire);
  const writer = await clientToEnd(twinwire);
  await writer.client.query("begin");
  await writer.client.query("insert into kept values (1, 1)");
  const { port } = new URL(twinwire.connection);
  const silent = connect(Number(port), "127.0.0.1"); // half of a login, then silence
  await once(silent, "connect");
  silent.on("error", () => {}).write(Buffer.from("000000", "hex"));
  process.kill(twinwire.pid, "SIGTERM");
  const told = await idle.end;
  test.equal(told.code, "57P01");
  test.match(told.detail, /Twinwire is shutting down/);
  const ready = await probe(twinwire, "/readyz");
  test.equal(ready.status, 503);
  test.match(ready.body.reasons?.[0], /stopping/);
  test.equal((await probe(twinwire, "/healthz")).status, 200);
  const late = new pg.Client(twinwire.connection);
  await test.rejects(late.connect(), { code: "ECONNREFUSED" });
  await writer.client.query("insert into kept values (1, 2)");
  await writer.client.query("commit");
  test.equal((await writer.end).code, "57P01", "after its transaction");
  test.equal(await twinwire.stop("before"), 0, "the exit code");
  test.equal((await sides.on("old", "select number from kept where client = 1")).length, 2);
});

/** Sessions that always had something under way were once cut off at the deadline, in mid-statement. */
await t.test("SIGTERM ends busy clients between two transactions", async (test) => {
  const twinwire = await startMirrored(sides);
  test.teardown(() => twinwire.stop());
  const parameters = [["user", USER] as const, ["database", DATABASE] as const];
  const { port } = new URL(twinwire.connection);
  const piper = await openRaw(Number(port), { parameters });
  let sent = 0;
  const send = (): void => {
    piper.send(query(`insert into kept values (2, ${sent++})`));
  };
  // It is never without something under way.
  piper.socket.on("data", () => {
    for (let more = 0; more < 3 && sent < 20_000; more++) send();
  });
  for (let first = 0; first < 10; first++) send();
  const insertBy3 = async (client: pg.Client): Promise<readonly [number, string | undefined]> => {
    for (let number = 0; ; number++) {
      try {
        await client.query("insert into kept values (3, $1)", [number]);
      } catch (error) {
        return [number, (error as pg.DatabaseError).code];
      }
    }
  };
  const looper = await clientToEnd(twinwire);
  const looped = insertBy3(looper.client);
  await until("some work", async () => (await twinwire.status()).exchanges.seen > 200);
  process.kill(twinwire.pid, "SIGTERM");
  await piper.closed();
  const [acknowledged, code] = await looped;
  // What comes between two queries is told to the connection, not to a query.
  test.equal(code ?? (await looper.end).code, "57P01");
  test.equal(await twinwire.stop("before"), 0);
  const count = async (client: number): Promise<unknown> =>
    (await sides.on("old", `select count(*)::int as n from kept where client = ${client}`))[0]?.[
      "n"
    ];
  test.equal(await count(3), acknowledged, "what was acknowledged is there, and no more");
  const tags = piper.frames().toString("latin1").split("INSERT 0 1").length - 1;
  test.equal(await count(2), tags);
});

await t.test("a second SIGTERM does not wait for anybody", async (test) => {
  const twinwire = await startMirrored(sides);
  test.teardown(() => twinwire.stop());
  const holder = await clientToEnd(twinwire);
  await holder.client.query("begin");
  process.kill(twinwire.pid, "SIGTERM");
  await until("draining", async () => (await probe(twinwire, "/readyz")).status === 503);
  process.kill(twinwire.pid, "SIGTERM");
  test.equal((await holder.end).code, "57P01");
  test.equal(await twinwire.stop("before"), 0);
});

await t.test("SIGHUP takes over what can change, and names what cannot", async (test) => {
  const twinwire = await startMirrored(sides, { config: { log: { level: "info" } } });
  test.teardown(() => twinwire.stop());
  const client = await twinwire.client();
  const written = readFileSync(twinwire.configPath, "utf8");
  const config = JSON.parse(written) as Record<string, unknown>;
  const changed = migrationConfig(sides, {
    shadow: { sample: 0.25, writes: "apply", queue: { exchanges: 1 } },
    cutover: { max_pause: "150ms" },
    listen: { protocol: "postgres", address: "127.0.0.1:1" },
    old: { url: sides.new.url(DATABASE, USER, "secret of the new file") },
  });
  const reloads = (): number => twinwire.log().split("the configuration was read again").length;
  const before = reloads();
  writeFileSync(twinwire.configPath, JSON.stringify({ ...config, migrations: [changed] }));
  process.kill(twinwire.pid, "SIGHUP");
  await until("the new configuration", () => reloads() > before);
  const line =
    twinwire
      .log()
      .split("\n")
      .find((each) => each.includes("was read again")) ?? "{}";
  const said = JSON.parse(line) as { live: string[]; needsRestart: string[] };
  const named = (names: readonly string[]): readonly string[] =>
    names.map((name) => name.replace("migrations[shop].", "")).toSorted();
  test.same(named(said.live), ["cutover.max_pause", "shadow.sample"]);
  test.same(named(said.needsRestart), ["listen", "old", "shadow.queue", "shadow.writes"]);
  const { route } = await twinwire.status();
  test.equal(route.shadow.sample, 0.25);
  // What needs a restart has not half begun.
  await twinwire.api.post("/api/v1/migrations/shop/shadow", { sample: 1 });
  await client.query("insert into kept values (4, 1)");
  const after = await twinwire.judged();
  test.same(after.exchanges.skipped, { write: 1 });
  test.same(await sides.on("new", "select number from kept where client = 4"), []);
  const another = await twinwire.client();
  const { rows } = await another.query<{ n: string }>(
    "select current_setting('server_version_num') as n",
  );
  test.match(rows[0]?.n, /^14/);
  await client.query("begin");
  const attempt = await twinwire.switchTo("new");
  test.equal(attempt.state, "failed");
  test.ok((attempt.pauseMs ?? 0) < 5_000, "the new limit counts");
  await client.query("commit");
  test.notMatch(twinwire.log(), /secret of the new file|app-password/);
});

await t.test(
  "SIGHUP with a broken file changes nothing, and one that says less is obeyed",
  async (test) => {
    const twinwire = await startMirrored(sides);
    test.teardown(() => twinwire.stop());
    const config = JSON.parse(readFileSync(twinwire.configPath, "utf8")) as Record<string, unknown>;
    for (const broken of ["migrations: [", JSON.stringify({ ...config, colour: "red" }), ""]) {
      const failures = twinwire.log().split("was not read again").length;
      writeFileSync(twinwire.configPath, broken);
      process.kill(twinwire.pid, "SIGHUP");
      await until(
        "the complaint",
        () => twinwire.log().split("was not read again").length > failures,
      );
    }
    test.match(twinwire.log(), /colour/);
    test.match(twinwire.log(), /line \d+|:\d+:\d+/, "with the place");
    test.notMatch(twinwire.log(), /app-password/);
    test.equal((await twinwire.status()).route.shadow.sample, 1, "the old one stays");
    writeFileSync(twinwire.configPath, JSON.stringify({ ...config, log: { level: "error" } }));
    process.kill(twinwire.pid, "SIGHUP");
    await until("silence", async () => {
      const before = twinwire.log().length;
      process.kill(twinwire.pid, "SIGHUP");
      await twinwire.status();
      await twinwire.status();
      return twinwire.log().length === before;
    });
  },
);

await t.test("every documented metric is there, and its numbers grow", async (test) => {
  const twinwire = await startMirrored(sides);
  test.teardown(() => twinwire.stop());
  const client = await twinwire.client();
  const work = async (): Promise<void> => {
    await client.query("select 1");
    await client.query("insert into kept values (5, 1)");
    await twinwire.judged();
  };
  const scrape = async (): Promise<ReadonlyMap<string, number>> => {
    const text = await twinwire.api.getText("/metrics");
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      samples.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  };
  await work();
  const before = await scrape();
  await work();
  await twinwire.switchTo("new");
  await client.query("select 2");
  await twinwire.judged();
  const after = await scrape();
  for (const name of [
    'twinwire_exchanges_total{migration="shop",route="mirrored",reason=""}',
    'twinwire_exchanges_total{migration="shop",route="skipped",reason="write"}',
    'twinwire_verdicts_total{migration="shop",verdict="match",reason=""}',
    'twinwire_client_bytes_total{migration="shop",direction="from_client"}',
    'twinwire_client_bytes_total{migration="shop",direction="to_client"}',
    'twinwire_exchange_duration_seconds_count{migration="shop",side="old"}',
    'twinwire_exchange_duration_seconds_count{migration="shop",side="new"}',
    'twinwire_toggle_pause_seconds_count{migration="shop"}',
    'twinwire_epoch{migration="shop"}',
    'twinwire_route_primary{migration="shop",side="new"}',
    'twinwire_process_cpu_seconds_total{mode="user"}',
  ]) {
    test.ok((after.get(name) ?? 0) > (before.get(name) ?? 0), name);
  }
  test.equal(after.get('twinwire_connections_open{migration="shop"}'), 1);
  await client.end();
  const path = fileURLToPath(new URL("../../../METRICS.md", import.meta.url));
  const text = await twinwire.api.getText("/metrics");
  const documented = [...readFileSync(path, "utf8").matchAll(/^\| `(twinwire_\w+)`/gm)].map(
    ([, name = ""]) => name,
  );
  test.ok(documented.length > 25);
  // What someone else replicates has no such numbers here.
  const shown = documented.filter((name) => !name.startsWith("twinwire_replication_"));
  for (const name of shown) test.ok(text.includes(`# TYPE ${name} `), name);
});
