import pg from "pg";
import type { Client } from "./client.ts";
import { transcript } from "./client.ts";
import type { Transcript } from "./client.ts";

/** node-postgres, the `pg` package. */
export const nodePostgres: Client = {
  name: "pg",
  missing: async () => undefined,
  async run(url) {
    const told = transcript();
    const client = new pg.Client({ connectionString: url, application_name: "pg" });
    client.on("notice", (notice) =>
      told.show("notice", [notice.severity, notice.code, notice.message]),
    );
    await client.connect();
    try {
      await tables(client, told);
      await values(client, told);
      await statements(client, told);
      await transactions(client, told);
      await notifications(client, told);
      await cancel(client, url, told);
      await client.query("drop schema client_pg cascade");
    } finally {
      await client.end();
    }
    return told.text();
  },
};

const SETUP = `drop schema if exists client_pg cascade;
  create schema client_pg;
  set search_path = client_pg;
  create table orders (id serial primary key, customer text not null, total numeric(10,2) check (total >= 0),
    placed timestamptz, tags text[], details jsonb, receipt bytea);`;

async function ask(
  client: pg.Client,
  told: Transcript,
  title: string,
  config: pg.QueryConfig | string,
): Promise<void> {
  try {
    const results = [
      await client.query<unknown[]>({ ...asConfig(config), rowMode: "array" }),
    ].flat();
    for (const { command, rowCount, fields, rows } of results) {
      // The OID of a type made by the workload differs from run to run; those of the system do not.
      const columns = fields.map((f) => [
        f.name,
        f.dataTypeID < 16384 ? f.dataTypeID : "own",
        f.format,
      ]);
      told.show(title, { command, rowCount, columns, rows });
    }
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const {
      severity,
      code,
      message,
      detail,
      hint,
      position,
      constraint,
      column,
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
      constraint,
      column,
      file,
      line,
      routine,
    });
  }
}

function asConfig(config: pg.QueryConfig | string): pg.QueryConfig {
  return typeof config === "string" ? { text: config } : config;
}

async function tables(client: pg.Client, told: Transcript): Promise<void> {
  await ask(client, told, "setup", SETUP);
  const insert =
    "insert into orders (customer, total, placed, tags, details, receipt) values ($1, $2, $3, $4, $5, $6) returning *";
  const placed = new Date("2024-02-29T12:34:56.789Z");
  for (let n = 0; n < 4; n++) {
    const row = [
      `Kunde ü ${n}`,
      `12.5${n}`,
      placed,
      ["a", null, 'b "c"'],
      { k: [1, null] },
      Buffer.from([0, 255, n]),
    ];
    await ask(client, told, "insert", { text: insert, values: row });
  }
  await ask(
    client,
    told,
    "several",
    "select 1 as one; insert into orders (customer) values ('x') returning id; select 'three' as three",
  );
  await ask(client, told, "several, one failing", "select 1; select 1 / 0; select 2");
  await ask(client, told, "empty", "");
  await ask(client, told, "no columns", "select");
}

async function values(client: pg.Client, told: Transcript): Promise<void> {
  const text = `select $1::int8, $2::float8, $3::bool, $4::uuid, 'NaN'::numeric, '1 day 2 hours'::interval, array[[1,2],[3,4]],
    'infinity'::timestamp, '{"b":1}'::jsonb, '[1,5)'::int4range, row(1, null, 'x y'), '(1,2)'::point, null::text`;
  const row = ["1099511627776", 0.1, true, "12345678-1234-5678-1234-567812345678"];
  await ask(client, told, "types", { text, values: row });
  // In binary the driver asks for the other format of every column.
  const binary = {
    text: "select id, customer, receipt, total > 0 as paid from orders order by id",
    values: [],
    binary: true,
  };
  await ask(client, told, "binary", binary);
  await ask(client, told, "large", "select g, md5(g::text) from generate_series(1, 3000) g");
  const { rows } = await client.query<{ x: string }>("select repeat('x', 5000000) x");
  told.show("value", rows[0]?.x.length);
  await ask(client, told, "sent", {
    text: "select md5($1), length($2)",
    values: ["y".repeat(3_000_000), "z".repeat(100_000)],
  });
}

async function statements(client: pg.Client, told: Transcript): Promise<void> {
  for (let n = 1; n < 5; n++) {
    await ask(client, told, "named", {
      name: "by-id",
      text: "select id, customer from orders where id = $1",
      values: [n],
    });
  }
  await ask(client, told, "named and wrong", {
    name: "wrong",
    text: "select nope from orders where id = $1",
    values: [1],
  });
  await ask(client, told, "rows in pieces", {
    text: "select id from orders order by id",
    rows: 2,
  } as pg.QueryConfig);
  // Queued in one go: the driver sends the next as soon as the last is answered.
  await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      ask(client, told, `queued ${n}`, { text: "select $1::int * 2 as n", values: [n] }),
    ),
  );
  await ask(client, told, "bad value", { text: "select $1::int", values: ["abc"] });
  await ask(client, told, "too few", { text: "select $1::int, $2::int", values: [1] });
  await ask(
    client,
    told,
    "warning",
    "do $$ begin raise warning 'careful' using hint = 'slowly'; end $$",
  );
}

async function transactions(client: pg.Client, told: Transcript): Promise<void> {
  const steps = [
    "begin",
    "update orders set total = 1 where id = 1",
    "savepoint a",
    "insert into orders (customer, total) values ('x', -1)",
    "select 1",
    "rollback to a",
    "declare walk cursor for select id from orders order by id",
    "fetch 2 from walk",
    "fetch all from walk",
    "commit",
    "begin isolation level serializable read only",
    "delete from orders",
    "rollback",
    "select id, total from orders order by id",
    "selec 1",
    "insert into orders (customer) values (null)",
    "commit",
    "set time zone 'Asia/Tokyo'",
    "select placed::text from orders order by id limit 1",
    "show timezone",
    "reset all",
    "set search_path = client_pg",
  ];
  for (const step of steps) await ask(client, told, step, step);
}

async function notifications(client: pg.Client, told: Transcript): Promise<void> {
  const heard = new Promise<void>((done) => {
    client.on("notification", ({ channel, payload }) => {
      told.show("heard", [channel, payload]);
      if (payload === "last") done();
    });
  });
  await client.query("listen work");
  for (const word of ["", "zwei Worte", "last"])
    await client.query("select pg_notify('work', $1)", [word]);
  await heard;
  await client.query("unlisten *");
}

/** Cancels as the driver does: a second connection carries the first one's key. */
async function cancel(client: pg.Client, url: string, told: Transcript): Promise<void> {
  const sql = "select pg_sleep(60) -- node-postgres";
  const asleep = ask(client, told, "cancelled", sql);
  const watcher = new pg.Client(url);
  await watcher.connect();
  const running = "select 1 from pg_stat_activity where state = 'active' and query = $1";
  while ((await watcher.query(running, [sql])).rowCount === 0);
  await watcher.end();
  const keys = client as unknown as { processID: number; secretKey: number };
  const messenger = new pg.Connection({
    host: client.host,
    port: client.port,
  } as pg.ConnectionConfig) as CancelConnection;
  messenger.on("connect", () => messenger.cancel(keys.processID, keys.secretKey));
  messenger.on("error", () => {}); // the server closes it without a word
  messenger.connect(client.port, client.host);
  await asleep;
  await ask(client, told, "alive", "select 'alive'");
}

type CancelConnection = pg.Connection & {
  connect(port: number, host: string): void;
  cancel(processId: number, secretKey: number): void;
};
