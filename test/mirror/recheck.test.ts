import pg from "pg";
import t from "tap";
import type { MigrationStatus } from "../../src/admin/ports.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { subscribe } from "./replicated.ts";
import { DATABASE, startTwoSides } from "./two-sides.ts";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(`
  create table fed (id int primary key, what text, amount numeric);
  create table apart (id int primary key, what text, amount numeric);
  create table hot (id int primary key, n bigint);
  create view chance as select id, what, (random() * 1000000)::int as drawn from fed;
  create view moment as select id, clock_timestamp()::text as at from fed;
  create function of_this_side() returns text language sql stable as $$ select what from apart where id = 1 $$;
`);
await sides.on("old", "insert into fed select n, 'row ' || n, n from generate_series(1, 50) n");
for (const [side, word] of [
  ["old", "here"],
  ["new", "there"],
] as const) {
  await sides.on(
    side,
    `insert into apart select n, '${word} ' || n, n from generate_series(1, 9) n; insert into hot values (1, ${side === "old" ? 1 : 0})`,
  );
}
await sides.on(
  "new",
  `alter database ${DATABASE} set default_transaction_isolation = 'serializable'`,
);
const feed = await subscribe(sides, ["fed"]);

const recheck = { patience: "10s", per_minute: 6000 };
let twinwire: Mirrored = await startMirrored(sides, { migration: { compare: { recheck } } });
t.teardown(() => twinwire.stop());

async function restart(migration: Readonly<Record<string, unknown>>): Promise<void> {
  await twinwire.stop();
  twinwire = await startMirrored(sides, { migration });
}

/** Verdicts by kind and reason. */
function counts({ verdicts, incomparable }: MigrationStatus): Record<string, number> {
  const { match, tolerated, divergent } = verdicts;
  const all: Record<string, number> = { match, tolerated, divergent, ...incomparable };
  return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));
}

/** What was counted while something was done. */
async function counted(work: () => Promise<void>): Promise<Record<string, number>> {
  const before = counts(await twinwire.judged());
  await work();
  const after = counts(await twinwire.judged());
  return Object.fromEntries(
    Object.entries(after)
      .map(([reason, count]) => [reason, count - (before[reason] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
}

/** How many differences wait to be asked about again, or are being asked about. */
async function rechecks(): Promise<number> {
  const text = await twinwire.api.getText("/metrics");
  const line = text.split("\n").find((each) => each.startsWith("twinwire_rechecks_waiting{"));
  return Number(line?.split(" ").at(-1));
}

await t.test("a difference that lasts is confirmed, with the primary's agreement", async (test) => {
  const client = await twinwire.client();
  const seen = await counted(async () => {
    await client.query("select what from apart where id = 3");
    await client.query({ text: "select what from apart where id = $1", values: [4] });
    await client.query("select of_this_side()");
  });
  test.strictSame(seen, { divergent: 3 });
  const items = await twinwire.divergences();
  test.strictSame(
    items
      .map(({ reason, count }) => [reason, count])
      .toSorted((a, b) => Number(a[1]) - Number(b[1])),
    [
      ["text_value", 1],
      ["text_value", 2],
    ],
  );
  await client.end();
});

await t.test("what NEW had not got yet is transient, once it has it", async (test) => {
  const client = await twinwire.client();
  await feed.hold();
  const seen = await counted(async () => {
    await sides.on("old", "update fed set what = 'changed' where id = 7");
    await client.query("select what from fed where id = 7");
    await client.query("select count(*) from fed where what = 'changed'");
    await until("both to be asked again", async () => (await rechecks()) === 2);
    await feed.resume();
  });
  test.strictSame(seen, { transient: 2 });
  await client.end();
});

await t.test(
  "what is drawn or read from the clock behind a view is named as such",
  async (test) => {
    const client = await twinwire.client();
    const seen = await counted(async () => {
      await client.query("select id, drawn from chance where id = 1");
      await client.query({ text: "select at from moment where id = $1", values: [2] });
    });
    test.strictSame(seen, { nondeterministic: 2 });
    await client.end();
  },
);

await t.test(
  "a column from the clock hides no other, and is soon asked about no more",
  async (test) => {
    const client = await twinwire.client();
    const hidden = await counted(async () => {
      await client.query("select id, what, now() as at from apart where id = 8");
    });
    test.strictSame(hidden, { divergent: 1 });
    const items = await twinwire.divergences();
    test.ok(
      items.some(
        ({ statement, column }) => statement.includes(" as at from apart") && column === "what",
      ),
    );
    const ask = "select id, what, now() as at from fed where id = 3";
    for (let time = 1; time <= 3; time++) {
      test.strictSame(await counted(async () => void (await client.query(ask))), { clock: 1 });
    }
    const numbers = async (): Promise<unknown> =>
      (await twinwire.fingerprints()).find(({ statement }) =>
        statement.includes(" as at from fed"),
      );
    test.match(await numbers(), { askedTwice: 3, varies: { at: 3 } });
    test.strictSame(await counted(async () => void (await client.query(ask))), { clock: 1 });
    test.match(await numbers(), { askedTwice: 3 }, "what is known is not asked again");
    await client.end();
  },
);

await t.test("data that changes whenever it is asked for is left unsettled", async (test) => {
  const client = await twinwire.client();
  const writer = new pg.Client(sides.old.url(DATABASE));
  await writer.connect();
  // Within the server, so that it is at work whoever else is.
  const written = writer
    .query("do $$ begin loop update hot set n = n + 1; commit; end loop; end $$")
    .catch(() => undefined);
  const seen = await counted(async () => {
    // Slow, so that the writer has its turn between any two answers.
    await client.query("select n from hot where pg_sleep(0.1) is not null");
  });
  await sides.on(
    "old",
    "select pg_cancel_backend(pid) from pg_stat_activity where query like 'do $$ begin loop%'",
  );
  await written;
  await writer.end();
  test.strictSame(seen, { unsettled: 1 });
  await client.end();
});

await t.test(
  "what cannot be repeated is said to be so, and reported as unsettled",
  async (test) => {
    const client = await twinwire.client();
    const seen = await counted(async () => {
      await client.query("begin");
      await client.query("declare c cursor for select what from apart order by id");
      await client.query("fetch all from c");
      await client.query("commit");
      await client.query("begin");
      await client.query("set local extra_float_digits = 0");
      // Not a shape that was confirmed above: of that, more is believed unasked.
      await client.query("select what as apart_now from apart where id = 5");
      await client.query("commit");
      await client.query("show transaction_isolation");
    });
    test.equal(seen["unsettled"], 3);
    test.equal(seen["divergent"], undefined);
    await client.end();
  },
);

await t.test("it is asked with the settings and statements of its session", async (test) => {
  const client = await twinwire.client({ options: "-c DateStyle=German" });
  const seen = await counted(async () => {
    await client.query("set search_path to nowhere, public");
    await client.query(
      "prepare asked (int) as select what, date '2024-02-01' from apart where id = $1",
    );
    await client.query("execute asked (6)");
    const named = { name: "named", text: "select what, $2::date from apart where id = $1" };
    await client.query({ ...named, values: [6, "1.2.2024"] });
    await client.query({ ...named, values: [7, "1.2.2024"] });
  });
  test.strictSame(seen, { match: 2, divergent: 3 });
  await client.end();
});

await t.test("an error on one side only lasts as well", async (test) => {
  await sides.on("old", "create view only_old as select 1 as one");
  const client = await twinwire.client();
  const seen = await counted(async () => {
    await client.query("select * from only_old");
    await client.query("select * from only_new").catch(() => undefined);
  });
  // A view that is nowhere fails alike.
  test.strictSame(seen, { match: 1, divergent: 1 });
  await client.end();
});

await t.test("its connections are gone afterwards, and were not the client's", async (test) => {
  const sessions = "select count(*)::int as n from pg_stat_activity where usename = 'app'";
  await until("Twinwire's connections to end", async () => {
    const [old] = await sides.on("old", sessions);
    const [fresh] = await sides.on("new", sessions);
    return old?.["n"] === 0 && fresh?.["n"] === 0;
  });
  test.pass("none is left");
});

await t.test("a session's read waits on the shadow for what it wrote", async (test) => {
  const client = await twinwire.client();
  await feed.hold();
  const seen = await counted(async () => {
    await client.query("update fed set what = 'mine' where id = 11");
    const read = await client.query("select what from fed where id = 11");
    test.strictSame(read.rows, [{ what: "mine" }], "the client does not wait");
    await client.query({ text: "select what from fed where id = $1", values: [11] });
    await feed.resume();
  });
  test.strictSame(seen, { match: 2 });
  await client.end();
});

await t.test("what it cannot wait for is counted as lag", async (test) => {
  await restart({ compare: { recheck }, shadow: { lag_wait: "100ms" } });
  const client = await twinwire.client();
  await feed.hold();
  const seen = await counted(async () => {
    await client.query("begin");
    await client.query("update fed set what = 'mine again' where id = 12");
    await client.query("commit");
    await client.query("select what from fed where id = 12");
    await client.query("begin");
    await client.query("select what from fed where id = 12");
    await client.query("commit");
  });
  test.ok((seen["lag"] ?? 0) >= 2, JSON.stringify(seen));
  test.equal(seen["divergent"], undefined);
  test.equal(seen["transient"], undefined, "nothing was compared wrongly");
  await feed.resume();
  await feed.caughtUp();
  const after = await counted(async () => {
    await client.query("select what from fed where id = 12");
  });
  test.strictSame(after, { match: 1 });
  await client.end();
});

await t.test("one statement is not asked about without end", async (test) => {
  await restart({ compare: { recheck: { ...recheck, per_minute: 1 } } });
  const client = await twinwire.client();
  await feed.hold();
  await sides.on("old", "update fed set what = 'new for all'");
  const seen = await counted(async () => {
    for (let id = 1; id <= 10; id++) await client.query(`select what from fed where id = ${id}`);
    await until("all but one to be left open", async () => {
      const { unsettled } = counts(await twinwire.status());
      return unsettled === 9 && (await rechecks()) === 1;
    });
    await feed.resume();
  });
  test.strictSame(seen, { transient: 1, unsettled: 9 });
  await client.end();
});

await t.test("switched off, a difference counts when it is seen", async (test) => {
  await restart({ compare: { recheck: { enabled: false } } });
  const client = await twinwire.client();
  const seen = await counted(async () => {
    await client.query("select drawn from chance where id = 1");
  });
  test.strictSame(seen, { divergent: 1 });
  await client.end();
});
