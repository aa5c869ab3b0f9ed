import tap from "tap";
import { installDdlTrigger } from "../../src/replication/ddl/event-trigger.ts";
import { openDdlWatch } from "../../src/replication/ddl/ddl-watch.ts";
import type { DdlOutcome, DdlPolicy, DdlWatch } from "../../src/replication/ddl/ddl-watch.ts";
import { compileMapping } from "../../src/replication/mapping/compile-mapping.ts";
import type { MappingInput } from "../../src/replication/mapping/mapping-input.ts";
import { OWN_SCHEMA_SQL } from "../../src/replication/own-schema.ts";
import { readTableShapes } from "../../src/replication/read-shapes.ts";
import type { SourceRelation } from "../../src/replication/source/source-transaction.ts";
import { startWorkSide, stopSides } from "./work-pair.ts";
import type { WorkSide } from "./work-pair.ts";

const SETTINGS = { wal_level: "logical" };
const sides = await Promise.all([
  startWorkSide(14, SETTINGS),
  startWorkSide(16),
  startWorkSide(18, SETTINGS),
]);
const [oldest, fresh, newest] = sides;
tap.teardown(() => stopSides(sides));

const INPUT: MappingInput = {
  schemas: [{ schema: "a", to: "b" }],
  tables: [
    {
      table: { schema: "a", name: "t" },
      to: { schema: "b", name: "u" },
      columns: { v: "w", hidden: null },
      constants: {},
      convert: {},
      where: undefined,
    },
  ],
};

/** As it was before anybody thought of the column `hidden`. */
const BEFORE: MappingInput = {
  ...INPUT,
  tables: INPUT.tables.map((entry) => ({ ...entry, columns: { v: "w" } })),
};

const SOURCE_SQL = `drop schema if exists a cascade; create schema a; create type a.mood as enum ('ok');
  create table a.t (id int primary key, v varchar(10) not null, n numeric(5,2), m a.mood, g int generated always as (id * 2) stored);
  create table a.other (id int primary key) partition by range (id); create table a.part partition of a.other default; create table a.apart (id int primary key)`;
const TARGET_SQL = `drop schema if exists b cascade; create schema b; create type b.mood as enum ('ok');
  create table b.u (id int primary key, w varchar(10) not null, n numeric(5,2), m b.mood, g int generated always as (id * 2) stored);
  create table b.other (id int primary key); insert into b.u values (1, 'x')`;

type Part =
  | { readonly kind: "message"; prefix: string; content: Buffer }
  | { readonly kind: "relation"; relation: SourceRelation }
  | { readonly kind: "row" };

/** What the log says since it was last asked, in its order. */
async function logOf(side: WorkSide): Promise<Part[]> {
  const { rows } = await side.session.query({
    sql: `select encode(data, 'hex') from pg_logical_slot_get_binary_changes('s', null, null,
      'proto_version', '1', 'publication_names', 'p', 'messages', 'true')`,
  });
  return rows.flatMap(([hex]): Part[] => {
    const bytes = Buffer.from(hex ?? "", "hex");
    switch (String.fromCharCode(bytes[0] ?? 0)) {
      case "M": {
        const end = bytes.indexOf(0, 10);
        return [
          {
            kind: "message",
            prefix: bytes.toString("utf8", 10, end),
            content: bytes.subarray(end + 5),
          },
        ];
      }
      case "R":
        return [{ kind: "relation", relation: relationOf(bytes) }];
      case "I":
        return [{ kind: "row" }];
      default:
        return [];
    }
  });
}

function relationOf(bytes: Buffer): SourceRelation {
  let at = 5;
  const text = (): string => {
    const end = bytes.indexOf(0, at);
    const found = bytes.toString("utf8", at, end);
    at = end + 1;
    return found;
  };
  const [schema, name] = [text(), text()];
  const kinds = { d: "default", n: "nothing", f: "full", i: "index" } as const;
  const identity = kinds[String.fromCharCode(bytes[at] ?? 0) as keyof typeof kinds];
  const count = bytes.readInt16BE(at + 1);
  at += 3;
  const columns = Array.from({ length: count }, () => {
    const isKey = bytes[at] === 1;
    at += 1;
    const column = text();
    at += 8;
    return {
      name: column,
      isKey,
      typeOid: bytes.readInt32BE(at - 8),
      typeModifier: bytes.readInt32BE(at - 4),
    };
  });
  return { oid: bytes.readInt32BE(1), schema, name, identity, columns };
}

async function watching(side: WorkSide, policy: DdlPolicy, hasTrigger: boolean): Promise<DdlWatch> {
  await fresh.session.execute(TARGET_SQL);
  await side.session.execute("drop schema if exists twinwire cascade");
  await side.session.execute(
    `${SOURCE_SQL}; drop publication if exists p; create publication p for table a.t, a.other with (publish_via_partition_root = true); ${OWN_SCHEMA_SQL}`,
  );
  if (hasTrigger) await installDdlTrigger(side.session);
  await side.session.execute(
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots; select pg_create_logical_replication_slot('s', 'pgoutput')",
  );
  const compiled = compileMapping(
    BEFORE,
    await readTableShapes(side.ask, [
      { schema: "a", name: "t" },
      { schema: "a", name: "other" },
    ]),
    await readTableShapes(fresh.ask, [
      { schema: "b", name: "u" },
      { schema: "b", name: "other" },
    ]),
  );
  if (compiled.tables.length !== 2) throw new Error(JSON.stringify(compiled.problems));
  return openDdlWatch({
    policy,
    input: INPUT,
    tables: compiled.tables,
    publication: "p",
    source: side.session,
    target: fresh.session,
    mark: undefined,
  });
}

/** What the watch says first that is not "same", and how many rows came before. */
async function followed(
  watch: DdlWatch,
  parts: readonly Part[],
): Promise<{ rows: number; outcome: DdlOutcome }> {
  let rows = 0;
  for (const part of parts) {
    if (part.kind === "row") rows++;
    else {
      const outcome =
        part.kind === "message"
          ? await watch.onMessage(part.prefix, part.content)
          : await watch.onRelation(part.relation);
      if (outcome !== undefined && outcome.kind !== "same") return { rows, outcome };
    }
  }
  return { rows, outcome: { kind: "same" } };
}

/** Two rows around a change. */
const around = (
  change: string,
): string => `insert into a.t (id, v) values (1, 'a'); insert into a.other values (1);
  commit; begin; ${change}; insert into a.other values (2); insert into a.t (id, v) values (2, 'b')`;

for (const side of [oldest, newest]) {
  for (const hasTrigger of [true, false]) {
    const how = `${side.server.major}, ${hasTrigger ? "with" : "without"} the event trigger`;
    await tap.test(`the stream stops before any row of the new shape: ${how}`, async (t) => {
      const watch = await watching(side, "stop", hasTrigger);
      await side.session.execute(
        `begin; ${around("savepoint s; alter table a.t add column extra text; release s")}; commit`,
      );
      const { rows, outcome } = await followed(watch, await logOf(side));
      // Without a message the row of the other table, which has not changed, may pass.
      t.equal(rows, hasTrigger ? 2 : 3);
      t.match(outcome, {
        kind: "stop",
        incident: {
          tables: ["a.t"],
          sql: ['ALTER TABLE "b"."u" ADD COLUMN IF NOT EXISTS "extra" text;'],
        },
      });
      if (outcome.kind === "stop")
        t.match(
          outcome.incident.sentence,
          /a\.t has a new column "extra" \(text\).*Run on the target: ALTER.*go on with/,
        );
    });

    await tap.test(
      `additive changes are made on the target too, and the stream goes on: ${how}`,
      async (t) => {
        const watch = await watching(side, "additive", hasTrigger);
        await side.session.execute(
          `begin; ${around(`alter table a.t add column extra timestamptz not null default now(), add column five int default 5, add hidden int,
        alter v type varchar(20), alter n type numeric(7,2)`)}; commit`,
        );
        const { rows, outcome } = await followed(watch, await logOf(side));
        t.equal(rows, hasTrigger ? 2 : 3);
        t.match(outcome, { kind: "applied" });
        const here = await side.ask("select extra, five from a.t where id = 1");
        t.strictSame(
          await fresh.ask("select extra, five from b.u where id = 1"),
          here,
          "also rows that were there",
        );
        const [columns] =
          await fresh.ask(`select string_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)), ', ' order by attnum)
        from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum where attrelid = 'b.u'::regclass and attnum > 1`);
        t.equal(
          columns?.[0],
          "w character varying(20) , n numeric(7,2) , m b.mood , g integer (id * 2), extra timestamp with time zone now(), five integer 5",
        );
        t.match(await followed(watch, await logOf(side)), { outcome: { kind: "same" } }, "once");
        t.match(await watch.poll(), { kind: "applied" === outcome.kind ? "same" : "never" });
      },
    );
  }

  await tap.test(`what the trigger tells of: ${side.server.major}`, async (t) => {
    const cases: readonly (readonly [sql: string, says: RegExp | undefined])[] = [
      ["alter table a.t drop column n", /column "n" of a.t was dropped/],
      ["alter table a.t rename column n to nn", /"n" of a.t is now called "nn"/],
      ["alter table a.t alter n type text", /is now text instead of numeric\(5,2\)/],
      ["alter table a.t rename to tt", /a.t is now called a.tt/],
      ["alter schema a rename to aa", /a.t is now called aa.t; a.other is now called aa.other/],
      ["drop table a.other", /a.other was dropped/],
      ["drop type a.mood cascade", /column "m" of a.t was dropped/],
      ["alter type a.mood add value 'sad'", /other labels/],
      ["alter table a.t replica identity full", /named by other columns/],
      ["alter table a.t drop constraint t_pkey, add primary key (v)", /named by other columns/],
      ["alter table a.t alter v drop not null", /may be NULL now/],
      ["alter table a.t add s serial", /copy|Copy/i],
      ["create index on a.t (v)", undefined],
      ["alter table a.t add check (id > 0), alter n set default 5", undefined],
      [
        "alter table a.apart add x int; create table a.fresh (id int); drop table a.fresh",
        undefined,
      ],
      ["comment on table a.t is 'x'; grant select on a.t to public", undefined],
      [
        "create temp table t (id int); alter table pg_temp.t add x int; drop table pg_temp.t",
        undefined,
      ],
    ];
    for (const [sql, says] of cases) {
      const watch = await watching(side, "stop", true);
      await side.session.execute(sql);
      const { outcome } = await followed(watch, await logOf(side));
      if (says === undefined) t.strictSame(outcome, { kind: "same" }, sql);
      else t.match(outcome.kind === "stop" ? outcome.incident.sentence : outcome, says, sql);
      await side.session.execute("drop schema if exists aa cascade");
    }
  });
}

await tap.test(
  "what is not additive stops an additive stream, and leaves the target as it was",
  async (t) => {
    const cases: readonly (readonly [sql: string, says: RegExp])[] = [
      ["alter table a.t add r float default random()", /copy its values/i],
      ["alter table a.t add extra int, drop column n", /"n" of a.t was dropped/],
      ["alter table a.t alter v type varchar(5)", /instead of/],
      ["alter table a.t add k int generated always as (id) stored", /compute it there/i],
      ["alter table a.t add p a.mood default 'ok'", /refused to follow.*3F000/],
    ];
    for (const [sql, says] of cases) {
      const watch = await watching(oldest, "additive", true);
      await oldest.session.execute(`insert into a.t values (1, 'a'); ${sql}`);
      const { outcome } = await followed(watch, await logOf(oldest));
      t.match(outcome.kind === "stop" ? outcome.incident.sentence : outcome, says, sql);
      const [count] = await fresh.ask(
        "select count(*) from pg_attribute where attrelid = 'b.u'::regclass and attnum > 0",
      );
      t.strictSame(count, ["5"]);
    }
  },
);

await tap.test(
  "changes on their way through the log, that were there when the watch began, do not stop it",
  async (t) => {
    await watching(oldest, "stop", true);
    await oldest.session.execute(
      "insert into a.t values (1, 'a'); alter table a.t add x int; insert into a.t values (2, 'b'); alter table a.t add y int; insert into a.t values (3, 'b')",
    );
    await fresh.session.execute("alter table b.u add x int, add y int");
    const compiled = compileMapping(
      BEFORE,
      await readTableShapes(oldest.ask, [{ schema: "a", name: "t" }]),
      await readTableShapes(fresh.ask, [{ schema: "b", name: "u" }]),
    );
    const watch = await openDdlWatch({
      policy: "stop",
      input: INPUT,
      tables: compiled.tables,
      publication: "p",
      source: oldest.session,
      target: fresh.session,
      mark: undefined,
    });
    t.match(await followed(watch, await logOf(oldest)), { rows: 3, outcome: { kind: "same" } });
  },
);

await tap.test(
  "looking at the catalogue finds what no row shows, and waits for what rows will show",
  async (t) => {
    const cases: readonly (readonly [sql: string, policy: DdlPolicy, kind: DdlOutcome["kind"]])[] =
      [
        ["alter table a.t add x int", "stop", "ahead"],
        ["alter table a.t add x int", "additive", "ahead"],
        ["alter table a.t add x int", "ignore", "ignored"],
        ["alter table a.t add hidden int", "stop", "applied"],
        ["alter table a.t alter v drop not null", "stop", "stop"],
        ["alter table a.t alter v drop not null", "additive", "applied"],
        ["alter table a.t alter n set default 1", "stop", "same"],
        ["alter type a.mood add value 'sad'", "additive", "applied"],
        ["drop table a.other", "additive", "stop"],
        ["alter publication p drop table a.t", "ignore", "stop"],
        ["alter table a.t set unlogged", "ignore", "stop"],
      ];
    for (const [sql, policy, kind] of cases) {
      const watch = await watching(oldest, policy, false);
      t.strictSame(await watch.poll(), { kind: "same" });
      if (sql.includes("unlogged"))
        await oldest.session.execute("alter publication p drop table a.t");
      await oldest.session.execute(sql);
      t.equal((await watch.poll()).kind, kind, `${sql}: ${policy}`);
      t.equal(
        (await watch.poll()).kind,
        kind === "stop" || kind === "ahead" ? kind : "same",
        "again",
      );
    }
  },
);

await tap.test("the trigger comes and goes without a trace, and is never in the way", async (t) => {
  await oldest.session.execute(`drop schema if exists twinwire cascade; ${OWN_SCHEMA_SQL}`);
  const traces = async () =>
    oldest.ask(
      "select evtname from pg_event_trigger union all select proname from pg_proc where proname = 'notice_ddl' order by 1",
    );
  t.strictSame(await installDdlTrigger(oldest.session), { kind: "installed" });
  t.strictSame(await installDdlTrigger(oldest.session), { kind: "installed" });
  t.strictSame(await traces(), [["notice_ddl"], ["twinwire_ddl_drop"], ["twinwire_ddl_end"]]);
  await oldest.session.execute(
    "drop role if exists weak; create role weak login password 'weak'; grant create on database postgres to weak",
  );
  const weak = await oldest.open("weak", "weak");
  t.teardown(() => weak.close());
  await weak.execute(
    "create schema weak; create table weak.t (id int); alter table weak.t add x int; drop schema weak cascade",
  );
  t.match(await installDdlTrigger(weak), { kind: "denied" });
  t.equal((await weak.query({ sql: "select 1" })).rows.length, 1, "no transaction is left open");
  // What cannot be told does not fail: here the log's function is not to be had.
  await oldest.session.execute(
    "revoke execute on all functions in schema pg_catalog from weak; revoke execute on function pg_logical_emit_message(boolean, text, text) from public",
  );
  await weak.execute("create schema weak; create table weak.t (id int); drop schema weak cascade");
  await oldest.session.execute(
    "grant execute on function pg_logical_emit_message(boolean, text, text) to public",
  );
  await oldest.session.execute("drop schema twinwire cascade");
  t.strictSame(await traces(), []);
});

await tap.test("messages of others are not taken for ours", async (t) => {
  const watch = await watching(oldest, "stop", true);
  t.strictSame(await watch.onMessage("other", Buffer.from("{}")), { kind: "same" });
  for (const content of [
    "",
    "null",
    "{",
    '{"tables":3,"dropped":[null]}',
    '{"tables":[{"oid":1}]}',
  ]) {
    t.strictSame(
      await watch.onMessage("twinwire.ddl", Buffer.from(content)),
      { kind: "same" },
      content,
    );
  }
});
