import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";
import type { Client } from "./client.ts";
import { transcript } from "./client.ts";
import type { Transcript } from "./client.ts";

/** The `postgres` package by porsager, which pipelines whatever it can. */
export const porsager: Client = {
  name: "postgres",
  missing: async () => undefined,
  async run(url) {
    const told = transcript();
    const sql = postgres(url, {
      max: 1,
      onnotice: (notice) =>
        told.show("notice", [notice["severity"], notice["code"], notice["message"]]),
      connection: { application_name: "porsager", client_min_messages: "notice" },
    });
    try {
      await tables(sql, told);
      await values(sql, told);
      await copies(sql, told);
      await transactions(sql, told);
      await cursors(sql, told);
      await notifications(sql, told);
      await cancel(sql, url, told);
      await sql`drop schema client_porsager cascade`;
    } finally {
      await sql.end();
    }
    return told.text();
  },
};

async function ask(told: Transcript, title: string, query: PromiseLike<unknown>): Promise<void> {
  try {
    const rows = (await query) as postgres.RowList<postgres.Row[]>;
    const { command, count, columns } = rows;
    const named = columns?.map((c) => [c.name, c.type < 16384 ? c.type : "own"]);
    told.show(title, { command, count, named, rows: [...rows] });
  } catch (error) {
    if (!(error instanceof postgres.PostgresError)) throw error;
    const {
      severity,
      code,
      message,
      detail,
      hint,
      position,
      constraint_name,
      file,
      line,
      routine,
    } = error;
    told.show(title, {
      severity,
      code,
      message,
      detail,
      hint,
      position,
      constraint_name,
      file,
      line,
      routine,
    });
  }
}

async function tables(sql: postgres.Sql, told: Transcript): Promise<void> {
  await sql.unsafe(`drop schema if exists client_porsager cascade;
    create schema client_porsager;
    set search_path = client_porsager;
    create table orders (id serial primary key, customer text not null, total numeric(10,2) check (total >= 0),
      placed timestamptz, tags text[], details jsonb, receipt bytea)`);
  const row = {
    customer: "Kunde ü",
    total: "12.50",
    placed: new Date("2024-02-29T12:34:56.789Z"),
    tags: ["a", 'b "c"'],
    details: sql.json({ k: [1, null] }),
    receipt: Buffer.from([0, 255, 10]),
  };
  await ask(
    told,
    "insert",
    sql`insert into orders ${sql([row, { ...row, customer: "two" }])} returning *`,
  );
  await ask(told, "update", sql`update orders set ${sql({ total: "3" })} where id = 1`);
  const told2 = (await sql.unsafe(
    "select 1 as one; select 2 as two; insert into orders (customer) values ('x')",
  )) as unknown as unknown[][];
  told.show(
    "several",
    told2.map((rows) => [...rows]),
  );
  await ask(told, "several, one failing", sql.unsafe("select 1; select 1 / 0; select 2"));
  const { types, columns } = await sql`select ${1}::int8 as n, ${"a"}::text as t`.describe();
  told.show("described", [types, columns.map((c) => [c.name, c.type])]);
}

async function values(sql: postgres.Sql, told: Transcript): Promise<void> {
  await ask(
    told,
    "types",
    sql`select ${"1099511627776"}::int8, ${0.1}::float8, ${true}::bool, 'NaN'::numeric, '1 day'::interval,
    array[[1,2],[3,4]] a, 'infinity'::timestamp, '{"b":1}'::jsonb j, '[1,5)'::int4range, row(1,null), null::text n`.values(),
  );
  // Sent without waiting for each other: one batch with as many answers.
  const many = Array.from({ length: 50 }, (_, n) =>
    ask(told, `pipelined ${n}`, sql`select ${n}::int * 2 as n`),
  );
  await Promise.all(many);
  const mixed = [
    sql`select 'first' as x`,
    sql`select ${"abc"}::text::int as x`,
    sql`select 'third' as x`,
  ];
  for (const outcome of await Promise.allSettled(mixed)) {
    told.show(
      "mixed",
      outcome.status === "fulfilled"
        ? [...outcome.value]
        : (outcome.reason as postgres.PostgresError).code,
    );
  }
  await ask(told, "raw", sql`select id, customer, receipt from orders order by id`.raw());
  await ask(told, "large", sql`select g, md5(g::text) from generate_series(1, 3000) g`);
  const [big] = await sql`select repeat('x', 5000000) as x`;
  told.show("value", String(big?.["x"]).length);
  await ask(told, "sent", sql`select md5(${"y".repeat(3_000_000)}::text)`);
  for (const wrong of [
    "selec 1",
    "select nope from orders",
    "insert into orders (customer) values (null)",
  ]) {
    await ask(told, wrong, sql.unsafe(wrong, [], { prepare: true }));
  }
}

async function copies(sql: postgres.Sql, told: Transcript): Promise<void> {
  const rows = Array.from({ length: 5000 }, (_, n) => `copied ${n}\t${n}.25\n`);
  await pipeline(
    Readable.from(rows),
    await sql`copy orders (customer, total) from stdin`.writable(),
  );
  // Few enough for one buffer: the driver may forget a socket it has paused at the end of a larger answer.
  let text = "";
  for await (const chunk of await sql`copy (select id, customer, total from orders order by id limit 300) to stdout`.readable()) {
    text += String(chunk);
  }
  told.show("copied", [text.length, text.slice(0, 300), text.slice(-300)]);
  await ask(told, "after", sql`select count(*) from orders`);
}

async function transactions(sql: postgres.Sql, told: Transcript): Promise<void> {
  await sql.begin(async (tx) => {
    await ask(told, "update", tx`update orders set total = 1 where id = 1`);
    const inner = tx.savepoint(async (nested) => {
      await nested`update orders set total = 2 where id = 1`;
      await nested`select 1 / 0`;
    });
    await inner.catch((error: unknown) =>
      told.show("inner", (error as postgres.PostgresError).code),
    );
    // Everything of a transaction in one go.
    await Promise.all(
      [1, 2, 3].map((n) =>
        ask(told, `inside ${n}`, tx`select total, ${n}::int from orders where id = 1`),
      ),
    );
  });
  const undone = sql.begin("isolation level serializable", async (tx) => {
    await tx`delete from orders`;
    throw new Error("changed my mind");
  });
  await undone.catch((error: unknown) => told.show("undone", (error as Error).message));
  await ask(told, "count", sql`select count(*), sum(total) from orders`);
  await sql.unsafe("do $$ begin raise warning 'careful'; end $$");
}

async function cursors(sql: postgres.Sql, told: Transcript): Promise<void> {
  let fetched = 0;
  await sql`select id from orders order by id`.cursor(700, (rows) => {
    fetched += rows.length;
    told.show("piece", [rows.length, rows[0]]);
  });
  told.show("fetched", fetched);
  for await (const rows of sql`select id from orders order by id`.cursor(3)) {
    told.show("given up after", [...rows]);
    break;
  }
  let seen = 0;
  await sql`select g from generate_series(1, 2000) g`.forEach(() => void seen++);
  told.show("each", seen);
}

async function notifications(sql: postgres.Sql, told: Transcript): Promise<void> {
  let done = (): void => {};
  const heard = new Promise<void>((resolve) => (done = resolve));
  const listening = await sql.listen("work", (payload) => {
    told.show("heard", payload);
    if (payload === "last") done();
  });
  for (const word of ["", "zwei Worte", "last"]) await sql.notify("work", word);
  await heard;
  await listening.unlisten();
}

async function cancel(sql: postgres.Sql, url: string, told: Transcript): Promise<void> {
  const asleep = sql`select pg_sleep(60) -- porsager`;
  const outcome = ask(told, "cancelled", asleep);
  const watcher = postgres(url, { max: 1 });
  const running =
    "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60) -- porsager'";
  while ((await watcher.unsafe(running)).length === 0);
  await watcher.end();
  asleep.cancel();
  await outcome;
  await ask(told, "alive", sql`select 'alive'`);
}
