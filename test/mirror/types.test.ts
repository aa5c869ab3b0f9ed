/** Types of users have other oids on the two sides; their values are compared through Twinwire all the same. */
import t from "tap";
import { startMirrored } from "./mirrored.ts";
import { startTwoSides } from "./two-sides.ts";

const TYPES = `
  create type mood as enum ('sad', 'ok', 'happy');
  create domain cents as numeric check (value > 0);
  create type price as (label text, amount cents, feeling mood);
  create type span as range (subtype = float8);
  create table things (id int primary key, feeling mood, feelings mood[], costs price, costs_all price[],
    within span);
  insert into things values
    (1, 'ok', '{ok,sad}', ('a', 1.50, 'ok'), array[('b', 2, 'sad')::price], '[0.1,2)'),
    (2, 'happy', '{}', null, null, 'empty')`;

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.on("new", "create type filler as enum ('a'); create table filling (a filler)");
await sides.both(TYPES);
const twinwire = await startMirrored(sides, {});
t.teardown(() => twinwire.stop());

const QUERIES = [
  "select id, feeling, feelings from things order by id",
  "select id, costs, costs_all from things order by id",
  "select id, within, array[within] as withins from things order by id",
  "select things from things where id = 1",
  "select (costs).amount, (costs).feeling from things where id = 1",
];

/** pg knows `queryMode` and `binary`, its types do not. */
function extended(text: string, binary: boolean): { readonly text: string } {
  const config = { text, queryMode: "extended", binary };
  return config;
}

/** Asks every query as text by both protocols, and in binary. @returns the verdicts of these */
async function verdicts(): Promise<Readonly<Record<string, number>>> {
  const before = (await twinwire.judged()).verdicts;
  const client = await twinwire.client();
  for (const text of QUERIES) {
    await client.query(text);
    await client.query(extended(text, false));
    await client.query(extended(text, true));
  }
  await client.end();
  const { verdicts: after } = await twinwire.judged();
  return Object.fromEntries(
    Object.entries(after).map(([kind, count]) => [
      kind,
      count - before[kind as keyof typeof before],
    ]),
  );
}

await t.test("equal values match, whatever their oids", async (test) => {
  const [old, fresh] = await Promise.all(
    (["old", "new"] as const).map((side) => sides.on(side, "select 'mood'::regtype::oid as oid")),
  );
  test.notSame(old, fresh, "the oids differ");
  const asked = QUERIES.length * 3;
  test.same(await verdicts(), { match: asked, tolerated: 0, divergent: 0, incomparable: 0 });
});

await t.test("what a composite is made of is known, and so how its fields differ", async (test) => {
  await sides.on("new", "update things set costs = ('a', 1.5, 'ok') where id = 1");
  // Three of the queries show it, each asked three times.
  const seen = await verdicts();
  test.same(seen, { match: 6, tolerated: 9, divergent: 0, incomparable: 0 });
  await sides.on("new", "update things set costs = ('a', 1.5, 'sad') where id = 1");
  const changed = await verdicts();
  test.same(changed, { match: 6, tolerated: 0, divergent: 9, incomparable: 0 });
});
