import { randomBytes } from "node:crypto";
import tap from "tap";
import { applyRest, applyTables } from "../../src/replication/schema/apply-schema.ts";
import { validateSchema } from "../../src/replication/schema/validate-schema.ts";
import { planSchema } from "../../src/replication/schema/plan-schema.ts";
import type { SchemaDeps, SchemaPlan } from "../../src/replication/schema/plan-schema.ts";
import { splitDump } from "../../src/replication/schema/split-dump.ts";
import { asking } from "../../src/replication/read-shapes.ts";
import { expandTables } from "../../src/replication/table-patterns.ts";
import { openWorkSession } from "../../src/upstream/work-session.ts";
import { DATABASE, startPair } from "./doctor-pair.ts";
import type { Pair, Side } from "./doctor-pair.ts";
import { NO_TLS } from "../upstream/no-tls.ts";

function target(pair: Pair, side: Side) {
  return {
    host: "127.0.0.1",
    port: pair[side].port,
    user: "postgres",
    password: pair[side].password,
    database: DATABASE,
    tls: NO_TLS,
  };
}

const SHOP = [
  "create role app login",
  "create role only_old",
  "create extension citext",
  "create schema crm",
  "create type mood as enum ('low', 'it''s; high')",
  "create domain age as int check (value > 0)",
  `create function tax(n numeric) returns numeric language plpgsql as $f$ begin return n * 1.2; -- ; '
    end $f$`,
  "create function half(n int) returns int language sql begin atomic select case when n > 1 then n / 2 else 0 end; end",
  "create function stamp() returns trigger language plpgsql as 'begin new.b = 1; return new; end'",
  `create table crm."Odd ""name"";" (id serial primary key, m mood default 'it''s; high', c citext unique, b int)`,
  `comment on table crm."Odd ""name"";" is 'it''s; -- odd'`,
  "create table orders (id int generated always as identity primary key, parent int references orders, total numeric generated always as (1.5) stored, b int)",
  "create index orders_b on orders (b) where b > 0",
  "comment on index orders_b is 'for b'",
  "create trigger stamped before insert on orders for each row execute function stamp()",
  "create table parted (a int, b int, c int default 0, primary key (a, c)) partition by range (a)",
  "create table parted_1 partition of parted for values from (0) to (100)",
  "create index parted_b on parted (b)",
  "create table lines (a int, o int, foreign key (a, o) references parted)",
  "alter table lines add constraint lines_o foreign key (o) references orders not valid",
  "alter table parted add foreign key (b) references orders",
  "create table keyed (a int not null, b text)",
  "create unique index keyed_a on keyed (a)",
  "alter table keyed replica identity using index keyed_a",
  "create table loud (a int)",
  "alter table loud replica identity full",
  "create view cheap as select id, total from orders where total < 10",
  "create rule silent as on delete to loud do instead (update loud set a = 1; delete from keyed)",
  "alter table keyed enable row level security",
  "create policy mine on keyed using (a > 0)",
  "alter table orders owner to app",
  "alter table keyed owner to only_old",
  "grant select on orders to only_old",
  "grant all on lines to app",
  "create publication theirs for table orders",
];

async function depsFor(pair: Pair, env: SchemaDeps["env"] = process.env) {
  const session = await openWorkSession(
    target(pair, "new"),
    { connectTimeoutMs: 10_000, applicationName: "twinwire" },
    { random: randomBytes },
  );
  const old = pair.admin("old");
  const sources = await expandTables((sql, values) => old.query(sql, values), ["*.*"]);
  const tables = sources.map((source) => ({ source, target: source }));
  const deps: SchemaDeps = {
    stream: "orders.forward",
    source: target(pair, "old"),
    sourceVersion: pair.old.major * 10_000,
    session,
    tables,
    env,
  };
  return {
    deps,
    session,
    old: (sql: string, values?: readonly (string | null)[]) => old.query(sql, values),
  };
}

async function planned(deps: SchemaDeps): Promise<SchemaPlan> {
  const outcome = await planSchema(deps);
  if (outcome.kind !== "copy") throw new Error(JSON.stringify(outcome));
  return outcome.plan;
}

void tap.test(
  "a schema is copied in two parts around the rows, and can be gone on with",
  async (t) => {
    const pair = await startPair({ major: 14 }, { major: 16 });
    t.teardown(() => pair.stop());
    await pair.run("old", ...SHOP);
    await pair.run("new", "create role app login");
    const { deps, session, old } = await depsFor(pair);
    const plan = await planned(deps);
    const first = await applyTables(deps, { ...plan, tables: plan.tables.slice(0, 20) });
    t.ok(first.applied > 10);
    const again = await planned(deps);
    t.same(again, plan, "asked again in the middle, the plan is the same");
    const tables = await applyTables(deps, again);
    t.equal(tables.done, plan.tables.length);
    t.match(tables.skipped.map(({ what }) => what).join("\n"), /owner of TABLE keyed/);
    const ask = asking(session);
    const names = await ask(
      `select string_agg(conname, ' ' order by conname collate "C") from pg_constraint where contype in ('p','u','f') and connamespace::regnamespace::text in ('public','crm')`,
    );
    t.same(names, [['Odd "name";_pkey orders_pkey parted_1_pkey parted_pkey']], "keys only");
    t.same(
      await ask(
        "select relreplident from pg_class where relname in ('keyed', 'loud') order by relname",
      ),
      [["i"], ["f"]],
    );
    t.same(
      await ask(
        "select indisvalid from pg_index where indexrelid = 'public.parted_pkey'::regclass",
      ),
      [["t"]],
    );

    await pair.run(
      "new",
      "insert into parted values (1, null)",
      "insert into lines values (null, 77)",
    );
    const total: number[] = [];
    const rest = await applyRest(deps, plan, (done, all) => void total.push(done, all));
    t.same(rest.skipped, []);
    t.equal(total.at(-1), total.at(-2));
    t.same(await validateSchema(old, ask, deps.tables), []);
    t.same(
      await ask("select convalidated from pg_constraint where conname = 'lines_o'"),
      [["f"]],
      "as on OLD",
    );
    t.equal((await applyRest(deps, plan)).applied, 0, "a second time does nothing");
    t.same(await ask("select public.half(7), obj_description('public.orders_b'::regclass)"), [
      ["3", "for b"],
    ]);
    t.same(await ask("select tableowner from pg_tables where tablename = 'orders'"), [["app"]]);
    await pair.run("new", "drop index orders_b");
    t.same(await validateSchema(old, ask, deps.tables), [
      "public.orders on NEW has no index orders_b, which OLD has",
    ]);
    await pair.run(
      "new",
      "create index by_another_name on orders (b) where b > 0",
      `alter table crm."Odd ""name"";" drop constraint "Odd ""name"";_c_key"`,
      `create unique index without_constraint on crm."Odd ""name"";" (c)`,
      "alter table lines drop constraint lines_a_o_fkey",
      "alter table orders disable trigger stamped",
    );
    t.same(await validateSchema(old, ask, deps.tables), [
      "public.lines on NEW has no constraint lines_a_o_fkey, which OLD has",
      "the trigger stamped of public.orders is not in force on NEW: ALTER TABLE public.orders ENABLE TRIGGER stamped",
    ]);
    await session.close();
  },
);

void tap.test(
  "rows that break a foreign key stop the rest, and it goes on once they are mended",
  async (t) => {
    const pair = await startPair({ major: 14 }, { major: 18 });
    t.teardown(() => pair.stop());
    await pair.run(
      "old",
      "create table a (id int primary key)",
      "create table b (id int primary key, a int references a)",
    );
    const { deps, session, old } = await depsFor(pair);
    const plan = await planned(deps);
    await applyTables(deps, plan);
    await pair.run("new", "insert into b values (1, 5)");
    await t.rejects(
      applyRest(deps, plan),
      /check of FK CONSTRAINT b b_a_fkey could not be made on NEW: .*23503/,
    );
    t.same(await validateSchema(old, asking(session), deps.tables), [
      "the constraint b_a_fkey of public.b is not in force on NEW: ALTER TABLE public.b VALIDATE CONSTRAINT b_a_fkey",
    ]);
    await pair.run("new", "insert into a values (5)");
    await applyRest(deps, plan);
    t.same(await validateSchema(old, asking(session), deps.tables), []);
    await session.close();
  },
);

void tap.test("a schema that cannot or need not be copied is told of", async (t) => {
  const pair = await startPair({ major: 16 }, { major: 18 });
  t.teardown(() => pair.stop());
  await pair.run("old", "create table a (id int primary key)", "create table b (id int)");
  const none = await depsFor(pair, { TWINWIRE_PG_DUMP: "/nowhere/pg_dump" });
  t.match(await planSchema(none.deps), {
    kind: "refused",
    sentence:
      /needs pg_dump 16 or later; there is none\.\n.*postgresql-client-16.*\n.*--section=pre-data.*\n.*--section=post-data/,
  });
  const [first] = none.deps.tables;
  const renamed = first && [{ source: first.source, target: { schema: "public", name: "z" } }];
  t.match(await planSchema({ ...none.deps, tables: renamed ?? [] }), {
    kind: "refused",
    sentence: /renames public\.a/,
  });
  await pair.run("new", "create table a (id int primary key)");
  t.match(await planSchema(none.deps), { kind: "refused", sentence: /but not public\.b/ });
  await pair.run("new", "create table b (id int)");
  t.same(await planSchema(none.deps), { kind: "present" });
  await none.session.close();
});

void tap.test("a dump is split where psql would", (t) => {
  const dump = [
    "SET a = 1;",
    "\\restrict abc",
    "--\n-- Name: f; Type: FUNCTION; Schema: public; Owner: me\n--\n",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;\n",
    "CREATE FUNCTION g() AS $_$ ; $$ ; $_$; /* ; /* nested ; */ ; */ CREATE TABLE \"a;b\" (c text DEFAULT 'x;''y', d text DEFAULT E'\\';');",
    "--\n-- Name: r; Type: RULE; Schema: public; Owner: me\n--\n",
    "CREATE RULE r AS ON DELETE TO t DO INSTEAD (SELECT 1; SELECT 2); -- ; comment\n\\unrestrict abc\n",
  ].join("\n");
  t.same(splitDump(dump), [
    {
      type: "FUNCTION",
      name: "f",
      statements: [
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
        "CREATE FUNCTION g() AS $_$ ; $$ ; $_$",
        "CREATE TABLE \"a;b\" (c text DEFAULT 'x;''y', d text DEFAULT E'\\';')",
      ],
    },
    {
      type: "RULE",
      name: "r",
      statements: ["CREATE RULE r AS ON DELETE TO t DO INSTEAD (SELECT 1; SELECT 2)"],
    },
  ]);
  t.end();
});
