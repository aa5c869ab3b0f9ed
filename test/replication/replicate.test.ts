/** The road of a user: start replication, write on, stop, start again; and what is written on NEW comes back. */
import t from "tap";
import { METRICS } from "../../src/metrics/catalogue.ts";
import { until } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import { inStep, startReplicating } from "./replicating.ts";

const TABLES = ["public.customers", "public.orders", "public.notes"];
const SCHEMA = `
  create table customers (id int primary key, name varchar(50) not null, seen timestamptz);
  create table orders (
    id bigserial primary key, customer int not null references customers, total numeric(12,2),
    details jsonb, photo bytea);
  create index orders_by_customer on orders (customer);
  create table notes (written timestamptz, what text);
  alter table notes replica identity full;
  grant all on all tables in schema public to app;
  grant all on all sequences in schema public to app;`;

const REPLICATION_METRICS = Object.keys(METRICS).filter((name) =>
  name.startsWith("twinwire_replication_"),
);

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(SCHEMA);
await sides.on(
  "old",
  `insert into customers select i, 'customer ' || i, now() from generate_series(1, 2000) as i;
   insert into orders (customer, total, details, photo)
     select 1 + i % 2000, i * 1.10, jsonb_build_object('n', i), decode(md5(i::text), 'hex')
     from generate_series(1, 20000) as i;
   insert into notes select now(), 'note ' || i from generate_series(1, 500) as i`,
);
const twinwire = await startReplicating(sides);
t.teardown(() => twinwire.stop());

await t.test("what is there is copied while the application writes", async (test) => {
  const client = await twinwire.client();
  let writing = true;
  const writer = (async () => {
    let written = 0;
    for (; writing; written++) {
      await client.query("insert into orders (customer, total) values ($1, $2)", [1, written]);
      await client.query("update customers set name = $2, seen = now() where id = $1", [
        1 + (written % 2000),
        `renamed ${written}`,
      ]);
      if (written % 5 === 0)
        await client.query("delete from orders where id = $1", [1 + written * 7]);
      if (written % 7 === 0)
        await client.query("update notes set what = what || '!' where what = $1", [
          `note ${written % 500}`,
        ]);
    }
    return written;
  })();
  const item = await twinwire.startReplication();
  writing = false;
  test.ok((await writer) > 10);
  test.ok(item.copy.rows >= 22_000, `${item.copy.rows} rows were copied`);
  test.same(
    item.tables
      .filter(({ chunks, chunksDone }) => chunks === chunksDone)
      .map(({ source }) => source)
      .toSorted(),
    TABLES.toSorted(),
  );
  await inStep(sides, TABLES);
});

await t.test("what is written on NEW comes back, and nothing goes in circles", async (test) => {
  await sides.on("new", "insert into customers values (100001, 'born on NEW', now())");
  await sides.on("new", "update customers set name = 'changed on NEW' where id = 5");
  await sides.on("new", "delete from customers where id = 100001");
  await sides.on("new", "insert into notes values (now(), 'from NEW')");
  await inStep(sides, TABLES);
  const item = await twinwire.replication();
  test.equal(item.reverse.state, "running");
  const [row] = await sides.on("old", "select name from customers where id = 5");
  test.equal(row?.["name"], "changed on NEW");
  const ready = await until("the way back to be proven", async () => {
    const now = await twinwire.replication();
    return now.canGoBack.ok ? now : undefined;
  });
  test.same(ready.warnings, []);
});

await t.test("stopped and started again it goes on where it was", async (test) => {
  const before = (await twinwire.replication()).copy.rows;
  await twinwire.stopReplication();
  test.equal((await twinwire.replication()).phase, "off");
  await sides.on("old", "update orders set total = total + 1 where id % 3 = 0");
  await sides.on("old", "insert into notes values (now(), 'while it was stopped')");
  const item = await twinwire.startReplication();
  test.equal(item.copy.rows, before, "nothing is copied again");
  await inStep(sides, TABLES);
});

await t.test("metrics, status and readiness tell of it", async (test) => {
  const text = await twinwire.api.getText("/metrics");
  for (const name of REPLICATION_METRICS) test.ok(text.includes(`# TYPE ${name} `), name);
  test.match(text, /twinwire_replication_phase\{migration="shop",phase="streaming"\} 1/);
  test.match(
    text,
    /twinwire_replication_rows_total\{.*stream="forward",operation="update"\} [1-9]/,
  );
  const status = await twinwire.status();
  test.equal(status.replication.forward.state, "running");
  test.match(status.replication.forward.position, /^[0-9A-F]+\/[0-9A-F]+$/);
});
