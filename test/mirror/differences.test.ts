/** What is different between the two sides is found, named, counted and kept, and shown without values. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import t from "tap";
import type { DivergenceItem, Page } from "../../src/admin/ports.ts";
import { query } from "../proxy/raw-messages.ts";
import { openRaw } from "../proxy/raw-session.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { DATABASE, PASSWORD, startTwoSides, USER } from "./two-sides.ts";

/** Stands for everything a customer would not want to see anywhere. */
const SECRET = "Zwetschgenkuchen";
const SECRET_NUMBER = "8273645019";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table people (id int primary key, name text, born date, score numeric(12,3), paid bool);
   insert into people select id, 'person ' || id, date '2000-01-01' + id, id * 10, true
     from generate_series(1, 30) as id;
   create table widths (id int, amount int);
   insert into widths values (1, 100);
   create table vault (id int primary key, owner text, number bigint);
   insert into vault values (1, '${SECRET}', ${SECRET_NUMBER})`,
);
await sides.on("new", "update people set name = 'other' where id = 1");
await sides.on("new", "delete from people where id = 2");
await sides.on("new", "update people set score = 31 where id = 3");
await sides.on("new", "update people set name = null where id = 4");
await sides.on("new", "insert into people values (31, 'person 31', '2000-02-01', 310, true)");
await sides.on("new", "alter table widths alter amount type bigint using amount + 1");
await sides.on("new", `update vault set owner = '${SECRET} x', number = number + 1`);
await sides.on("new", "create function only_new() returns int language sql as 'select 1'");
await sides.on("old", "create function only_old() returns int language sql stable as 'select 1'");

const folder = mkdtempSync(join(tmpdir(), "twinwire-differences-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const OPTIONS = {
  migration: { compare: { safe_functions: ["only_new"] }, cutover: { max_pause: "200ms" } },
  config: { store: { path: join(folder, "store") }, log: { level: "debug" } },
};
let twinwire: Mirrored = await startMirrored(sides, OPTIONS);
t.teardown(() => twinwire.stop());
/** Of the processes that ended. */
const logs: string[] = [];

const PLANTED: readonly {
  readonly sql: string;
  readonly reason: string;
  readonly column?: string;
}[] = [
  { sql: "select id, name from people where id = 1", reason: "text_value", column: "name" },
  { sql: "select id, born from people where id = 2", reason: "row_count" },
  { sql: "select score from people where id = 3", reason: "numeric_value", column: "score" },
  { sql: "select name, id from people where id = 4", reason: "null_value", column: "name" },
  { sql: "select id from people where id > 28 order by id", reason: "row_count" },
  { sql: "select id, amount from widths", reason: "column_type", column: "amount" },
  { sql: "select only_old()", reason: "error_on_shadow" },
  { sql: "select only_new()", reason: "error_on_primary" },
  { sql: "select 1 / (score - 31)::int from people where id = 3", reason: "error_on_shadow" },
];

async function found(): Promise<readonly DivergenceItem[]> {
  await twinwire.judged();
  return twinwire.divergences();
}

function countOf(items: readonly DivergenceItem[], reason: string, column?: string): number {
  const those = items.filter((item) => item.reason === reason && item.column === column);
  return those.reduce((total, { count }) => total + count, 0);
}

await t.test("planted differences are found under their names", async (test) => {
  const client = await twinwire.client();
  for (const { sql, reason, column } of PLANTED) {
    const before = countOf(await found(), reason, column);
    await client.query(sql).catch(() => undefined);
    test.equal(countOf(await found(), reason, column), before + 1, `${sql}: ${reason}`);
  }
  await client.query("select id, name, born, score, paid from people where id between 5 and 28");
  await client.end();
  const { verdicts } = await twinwire.judged();
  test.same(verdicts, { match: 1, tolerated: 0, divergent: PLANTED.length, incomparable: 0 });
});

await t.test("repetitions are counted as one, whatever their literals", async (test) => {
  const client = await twinwire.client();
  for (const id of [1, 1, 1]) await client.query(`select id, name from people where id = ${id}`);
  for (const id of [1, 7]) {
    await client.query({ text: "select id, name from people where id = $1", values: [id] });
  }
  await client.end();
  const items = await found();
  const those = items.filter(({ statement }) =>
    statement.startsWith("select id, name from people"),
  );
  test.same(
    those.map(({ reason, count }) => [reason, count]),
    [["text_value", 5]],
  );
  const [item] = those;
  test.match(item?.explanation, /name/);
  test.ok(Date.parse(item?.firstSeen ?? "") < Date.parse(item?.lastSeen ?? ""));
  test.match(item?.samples[0]?.primary, /^‹text 8 chars #[0-9a-f]{8}›$/);
  test.match(item?.samples[0]?.shadow, /^‹text 5 chars #[0-9a-f]{8}›$/);
  const one = await twinwire.api.get(`/api/v1/migrations/shop/divergences/${item?.id}`);
  test.same(one, item);
});

await t.test(
  "what was found survives a restart, and kill -9 but for the last second",
  async (test) => {
    const before = await found();
    const coverage = await twinwire.fingerprints();
    await twinwire.stop();
    logs.push(twinwire.log());
    twinwire = await startMirrored(sides, OPTIONS);
    const lasting = (items: typeof before): readonly object[] =>
      items.map(({ repeatable: _inMemory, ...item }) => item);
    test.same(lasting(await twinwire.divergences()), lasting(before));
    const [first] = await twinwire.divergences();
    test.match(first?.repeatable, { ok: false, reason: /kept in memory only/ });
    const seen = (items: typeof coverage): readonly string[] =>
      items
        .map(({ fingerprint, seen: count, verdicts }) =>
          JSON.stringify([fingerprint, count, verdicts]),
        )
        .toSorted();
    test.same(seen(await twinwire.fingerprints()), seen(coverage));
    const client = await twinwire.client();
    await client.query("select id, name from people where id = 1");
    await found();
    // The store is written every second: what was said later is stored no earlier.
    await client.query("select 1 as said_later");
    await until("it to be stored", () => readStore().includes("said_later"));
    await twinwire.kill();
    logs.push(twinwire.log());
    await twinwire.stop();
    twinwire = await startMirrored(sides, OPTIONS);
    const after = await twinwire.divergences();
    test.equal(after.length, before.length);
    test.equal(countOf(after, "text_value", "name"), countOf(before, "text_value", "name") + 1);
  },
);

function readStore(): Buffer {
  const path = join(folder, "store");
  const files = readdirSync(path, { recursive: true, withFileTypes: true });
  return Buffer.concat(
    files
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(file.parentPath, file.name))),
  );
}

/** Every way in which a value reaches Twinwire. */
async function speakSecrets(): Promise<void> {
  const client = await twinwire.client({ application_name: "teller" });
  const tell = async (ask: string | pg.QueryConfig): Promise<void> => {
    await client.query(ask).catch(() => undefined);
  };
  await tell(`select owner, number from vault where owner <> '${SECRET}' || 'y'`);
  await tell({ text: "select owner from vault where owner <> $1", values: [`${SECRET}y`] });
  await tell({ text: "select number from vault where number > $1", values: [SECRET_NUMBER] });
  await tell(`insert into vault values (1, '${SECRET}', ${SECRET_NUMBER})`);
  await tell(`select cast('${SECRET}' as int)`);
  await tell(`select * from vault where frobnicate ${SECRET_NUMBER} '${SECRET}' from`);
  await tell(`frobnicate '${SECRET}', $$${SECRET}$$, E'${SECRET}', ${SECRET_NUMBER}`);
  await tell(`select '${SECRET}' /* ${SECRET} */ -- ${SECRET}`);
  await tell(`set app.tenant = '${SECRET}'`);
  await tell(`select set_config('app.other', '${SECRET}', false)`);
  await tell(`prepare told as select owner from vault where owner = '${SECRET}'`);
  await tell("execute told");
  await tell(`prepare asked (text) as select owner from vault where owner = $1`);
  await tell(`execute asked ('${SECRET}')`);
  await tell(`select length('${SECRET.repeat(20_000)}')`);
  await tell(`declare c cursor with hold for select '${SECRET}'`);
  await tell(`do $$ begin perform '${SECRET}'; raise notice '${SECRET}'; end $$`);
  await tell(`notify news, '${SECRET}'`);
  await tell(`copy (select '${SECRET}') to stdout`);
  await tell(`create role teller password '${SECRET}'`);
  await tell("begin");
  await tell(`select owner from vault where owner <> '${SECRET}' for update`);
  // It holds up a switch, which names what it last asked.
  await tell(`select owner from vault where owner <> '${SECRET}' for share`);
  const attempt = await twinwire.switchTo("new").catch((error: unknown) => error);
  if (!JSON.stringify(attempt).includes("teller")) throw new Error("the holder is not named");
  await client.end();
}

/** A login that fails, garbage that is no protocol, and bytes after the login that are none. */
async function speakNonsense(): Promise<void> {
  const { port } = new URL(twinwire.connection);
  const parameters = [["user", USER] as const, ["database", DATABASE] as const];
  const session = await openRaw(Number(port), { parameters });
  session.send(query(`select '${SECRET}'`), Buffer.from(`!!!!${SECRET}`));
  await session.closed();
  const stranger = new pg.Client(twinwire.url("shop", USER, SECRET, SECRET));
  await stranger.connect().catch(() => undefined);
}

/** Asks again for each difference in the vault, closes it and rules it. @returns what was answered */
async function actOnSecrets(root: string): Promise<string> {
  const answers: string[] = [];
  const post = async (path: string, body?: object): Promise<void> => {
    const response = await fetch(twinwire.admin + root + path, {
      method: "POST",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    answers.push(await response.text());
  };
  for (const { id, statement } of await twinwire.divergences()) {
    if (!statement.includes("vault")) continue;
    await post(`/divergences/${id}/recheck`);
    await post(`/divergences/${id}/close`);
    await post("/rules", { divergence: id, ignore: true });
  }
  return answers.join("\n");
}

await t.test(
  "no customer's value is to be seen in logs, API, metrics or the store",
  async (test) => {
    await speakSecrets();
    await speakNonsense();
    await found();
    const root = "/api/v1/migrations/shop";
    const acts = await actOnSecrets(root);
    const events = await fetch(`${twinwire.admin}${root}/events`);
    const texts = await Promise.all(
      [
        "",
        "/divergences?state=all",
        "/rules",
        "/fingerprints?limit=1000",
        "/attempts",
        "/readiness",
      ]
        .map((path) => root + path)
        .concat(["json", "md", "html"].map((format) => `${root}/report?format=${format}`))
        .concat(["/metrics", "/readyz"])
        .map(async (path) => [path, await twinwire.api.getText(path)] as const),
    );
    await events.body?.cancel();
    const { items } = await twinwire.api.get<Page<DivergenceItem>>(`${root}/divergences?state=all`);
    test.ok(
      items.some(({ statement }) => statement.includes("from vault")),
      "they were compared",
    );
    await twinwire.stop();
    logs.push(twinwire.log());
    const places = [
      ...texts,
      ["acts", acts],
      ["log", logs.join("")],
      ["store", readStore().toString("latin1")],
    ];
    for (const [name = "", text = ""] of places) {
      test.ok(text.length > 0, name);
      const utf16 = Buffer.from(text, "utf16le").toString("latin1");
      for (const secret of [SECRET, SECRET.toLowerCase(), SECRET_NUMBER, PASSWORD]) {
        test.notOk(text.includes(secret) || utf16.includes(secret), `${name} does not know it`);
      }
    }
  },
);
