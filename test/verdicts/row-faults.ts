import type { Fault } from "./fault.ts";
import { nameOf } from "./fault.ts";

/** Rows of a table with orders of customers, alike on both sides. */
const ORDERS = `insert into TABLE select id, id % 3, 'note ' || id, id * 10 from generate_series(1, 9) as id`;
const COLUMNS = "(id int primary key, customer int, note text, total numeric)";

/** A fault in one table's rows. TABLE stands for the table's name. */
type RowFault = Omit<Fault, "both" | "ask"> & { readonly sql: string; readonly columns?: string };

function withTable(fault: RowFault): Fault {
  const table = `r_${nameOf(fault.why)}`;
  const named = (text: string | undefined): string | undefined => text?.replaceAll("TABLE", table);
  const { sql, columns, before, old, new: fresh, ...rest } = fault;
  return {
    ...rest,
    both:
      named(`create table TABLE ${columns ?? COLUMNS}; ${columns === undefined ? ORDERS : ""}`) ??
      "",
    ...(old === undefined ? {} : { old: named(old) ?? "" }),
    ...(fresh === undefined ? {} : { new: named(fresh) ?? "" }),
    ...(before === undefined ? {} : { before: before.map((text) => named(text) ?? "") }),
    ask: { sql: named(sql) ?? "" },
  };
}

const IN_TABLES: readonly RowFault[] = [
  {
    why: "missing row",
    new: "delete from TABLE where id = 4",
    sql: "select * from TABLE where id > 2",
    found: "divergent row_count",
  },
  {
    why: "missing row asked for alone",
    new: "delete from TABLE where id = 4",
    sql: "select note from TABLE where id = 4",
    found: "divergent row_count",
  },
  {
    why: "extra row",
    new: "insert into TABLE values (10, 1, 'ghost', 1)",
    sql: "select * from TABLE",
    found: "divergent row_count",
  },
  {
    why: "stale row",
    old: "update TABLE set note = 'paid' where id = 4",
    sql: "select * from TABLE where id = 4",
    found: "divergent text_value",
  },
  {
    why: "stale row among many",
    old: "update TABLE set total = 41 where id = 4",
    sql: "select * from TABLE",
    found: "divergent numeric_value",
  },
  {
    why: "duplicate",
    columns: "(id int, note text)",
    old: "insert into TABLE values (1, 'once')",
    new: "insert into TABLE values (1, 'once'), (1, 'once')",
    sql: "select * from TABLE where id = 1",
    found: "divergent row_count",
  },
  {
    why: "duplicate in the place of another row",
    columns: "(id int, note text)",
    old: "insert into TABLE values (1, 'a'), (2, 'b'), (3, 'c')",
    new: "insert into TABLE values (1, 'a'), (1, 'a'), (3, 'c')",
    sql: "select * from TABLE",
    found: "divergent row_missing",
  },
  {
    why: "another row altogether",
    columns: "(id int, note text)",
    old: "insert into TABLE values (1, 'a'), (2, 'b')",
    new: "insert into TABLE values (1, 'a'), (7, 'x')",
    sql: "select * from TABLE",
    found: "divergent row_missing",
  },
  {
    why: "collation",
    columns: "(id int, v text)",
    old: `alter table TABLE alter v type text collate "C"; insert into TABLE values (1, 'a'), (2, 'B'), (3, 'c')`,
    new: `alter table TABLE alter v type text collate "und-x-icu"; insert into TABLE values (1, 'a'), (2, 'B'), (3, 'c')`,
    sql: "select id, v from TABLE order by v",
    found: "divergent collation_order",
  },
  {
    why: "collation decides which rows are the first",
    columns: "(id int, v text)",
    old: `alter table TABLE alter v type text collate "C"; insert into TABLE values (1, 'a'), (2, 'B'), (3, 'c')`,
    new: `alter table TABLE alter v type text collate "und-x-icu"; insert into TABLE values (1, 'a'), (2, 'B'), (3, 'c')`,
    sql: "select id, v from TABLE order by v, id limit 1",
    found: "divergent numeric_value",
  },
  {
    why: "case-insensitive collation missing",
    columns: "(id int, v text)",
    old: `create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      alter table TABLE alter v type text collate blind; insert into TABLE values (1, 'Ada')`,
    new: "insert into TABLE values (1, 'Ada')",
    sql: "select id from TABLE where v = 'ADA'",
    found: "divergent row_count",
  },
  {
    why: "case-insensitive type missing",
    columns: "(id int, v citext)",
    old: "insert into TABLE values (1, 'Ada')",
    new: "alter table TABLE alter v type text; insert into TABLE values (1, 'Ada')",
    sql: "select id from TABLE where v = 'ADA'",
    found: "divergent row_count",
  },
  {
    why: "order under LIMIT by the planner",
    columns: "(id int, v int)",
    old: "insert into TABLE select id, id from generate_series(1, 9) id",
    new: "insert into TABLE select id, id from generate_series(9, 1, -1) id",
    sql: "select v, id from TABLE limit 3",
    found: "incomparable underspecified",
  },
  {
    why: "order under LIMIT where the keys are tied",
    columns: "(ref int, total int)",
    old: "insert into TABLE select ref, 1 from generate_series(1, 9) ref",
    new: "insert into TABLE select ref, 1 from generate_series(9, 1, -1) ref",
    sql: "select total, ref from TABLE order by total limit 3",
    found: "incomparable underspecified",
  },
  {
    why: "changed row under a LIMIT of one, found by its key",
    new: "update TABLE set note = 'other' where id = 4",
    sql: "select note, total from TABLE where id = 4 limit 1",
    found: "divergent text_value",
  },
  {
    why: "changed row on a page",
    new: "update TABLE set total = 0 where id = 4",
    sql: "select * from TABLE order by id limit 3 offset 2",
    found: "divergent numeric_value",
  },
  {
    why: "page moved by a missing row",
    new: "delete from TABLE where id = 2",
    sql: "select id, note from TABLE order by id limit 3 offset 3",
    found: "divergent row_missing",
  },
  {
    why: "count",
    new: "delete from TABLE where id = 4",
    sql: "select count(*) from TABLE",
    found: "divergent numeric_value",
  },
  {
    why: "sum",
    new: "update TABLE set total = total + 0.01 where id = 4",
    sql: "select sum(total) from TABLE",
    found: "divergent numeric_value",
  },
  {
    why: "average of a group",
    new: "update TABLE set total = 0 where id = 4",
    sql: "select customer, avg(total) as mean from TABLE group by customer order by customer",
    found: "divergent numeric_value",
  },
  {
    why: "group that is gone",
    new: "delete from TABLE where customer = 0",
    sql: "select customer, count(*) from TABLE group by customer",
    found: "divergent row_count",
  },
  {
    why: "ordered aggregate",
    new: "delete from TABLE where id = 4; insert into TABLE values (4, 1, 'notes', 40)",
    sql: "select array_agg(note order by id) from TABLE",
    found: "divergent array_value",
  },
  {
    why: "window function",
    new: "update TABLE set total = 95 where id = 1",
    sql: "select id, rank() over (order by total desc) as place from TABLE order by id",
    found: "divergent numeric_value",
  },
  {
    why: "common table expression",
    new: "update TABLE set customer = 2 where id = 4",
    sql: "with four as (select customer from TABLE where id = 4) select customer, 'x' from four",
    found: "divergent numeric_value",
  },
  {
    why: "recursion",
    columns: "(id int, parent int)",
    old: "insert into TABLE values (1, null), (2, 1), (3, 2), (4, 3)",
    new: "insert into TABLE values (1, null), (2, 1), (3, null), (4, 3)",
    sql: `with recursive up as (select id, parent from TABLE where id = 4
      union all select t.id, t.parent from TABLE t join up on t.id = up.parent) select id from up`,
    found: "divergent row_count",
  },
  {
    why: "set operation",
    new: "delete from TABLE where id = 4",
    sql: "select id from TABLE except select 1",
    found: "divergent row_count",
  },
  {
    why: "join",
    new: "update TABLE set customer = 99 where id = 4",
    sql: "select a.id from TABLE a join TABLE b on b.id = a.customer where a.id > 3",
    found: "divergent row_count",
  },
  {
    why: "subquery of existence",
    new: "delete from TABLE where id = 4",
    sql: "select exists (select from TABLE where id = 4) as there",
    found: "divergent boolean_value",
  },
  {
    why: "COPY of a table",
    new: "update TABLE set note = 'other' where id = 4",
    sql: "copy TABLE to stdout",
    found: "divergent value",
  },
  {
    why: "COPY of a query in the binary format",
    new: "update TABLE set total = 1 where id = 4",
    sql: "copy (select id, total from TABLE order by id) to stdout (format binary)",
    found: "divergent value",
  },
  {
    why: "COPY with a missing row",
    new: "delete from TABLE where id = 4",
    sql: "copy TABLE to stdout (format csv)",
    found: "divergent row_count",
  },
  {
    why: "FETCH of a cursor",
    new: "update TABLE set note = 'other' where id = 4",
    before: ["begin", "declare c cursor for select * from TABLE order by id"],
    sql: "fetch all from c",
    after: ["rollback"],
    // A cursor cannot be asked again, so what it shows is unsettled: reported, but not as confirmed.
    found: "incomparable unsettled",
  },
  {
    why: "EXECUTE of what SQL prepared",
    new: "update TABLE set note = 'other' where id = 4",
    before: ["prepare told (int) as select note, total from TABLE where id = $1"],
    sql: "execute told (4)",
    after: ["deallocate told"],
    found: "divergent text_value",
  },
  {
    why: "unlogged table emptied by a crash",
    columns: "(id int, note text)",
    old: "insert into TABLE values (1, 'cached')",
    new: "alter table TABLE set unlogged",
    sql: "select * from TABLE",
    found: "divergent row_count",
  },
  {
    why: "partition missing",
    columns: "(id int, year int) partition by list (year)",
    old: `create table TABLE_1 partition of TABLE for values in (2023, 2024);
      insert into TABLE values (1, 2023), (2, 2024)`,
    new: "create table TABLE_1 partition of TABLE for values in (2024); insert into TABLE values (2, 2024)",
    sql: "select * from TABLE order by year",
    found: "divergent row_count",
  },
  {
    why: "inherited table detached",
    columns: "(id int, note text)",
    old: "create table TABLE_1 () inherits (TABLE); insert into TABLE_1 values (1, 'a')",
    new: "create table TABLE_1 (id int, note text); insert into TABLE_1 values (1, 'a')",
    sql: "select id, note from TABLE",
    found: "divergent row_count",
  },
  {
    why: "materialized view stale",
    old: "create materialized view TABLE_m as select count(*) as n from TABLE; grant select on TABLE_m to app",
    new: `create materialized view TABLE_m as select count(*) as n from TABLE where id < 9;
      grant select on TABLE_m to app`,
    sql: "select n from TABLE_m",
    found: "divergent numeric_value",
  },
];

/** Rows missing, extra, stale, doubled or in another order, and every way in which that shows. */
export const ROW_FAULTS: readonly Fault[] = IN_TABLES.map(withTable);
