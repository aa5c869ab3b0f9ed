/** A finding is made into a rule while Twinwire runs: it holds at once, and for as long as nobody removes it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type {
  DivergenceItem,
  DivergenceState,
  Page,
  Readiness,
  RuleItem,
} from "../../src/admin/ports.ts";
import { startMirrored, until } from "./mirrored.ts";
import type { Mirrored } from "./mirrored.ts";
import { startTwoSides } from "./two-sides.ts";

const ROOT = "/api/v1/migrations/shop";

const sides = await startTwoSides();
t.teardown(() => sides.stop());
await sides.both(
  `create table goods (id int primary key, price numeric(12,2), label text, seen int);
   insert into goods select id, id, 'good ' || id, 0 from generate_series(1, 20) as id`,
);
await sides.on("new", "update goods set price = price + 0.01 where id = 1");
await sides.on("new", "update goods set label = label || ' ' where id = 2");
await sides.on("new", "update goods set seen = 7 where id = 3");

const folder = mkdtempSync(join(tmpdir(), "twinwire-rules-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const OPTIONS = {
  migration: {
    compare: {
      rules: [
        {
          name: "of nothing",
          match: { table: "godos", column: "pirce", type: "numerik" },
          ignore: true,
        },
        { name: "of goods", match: { table: "goods", column: "seen", type: "int8" }, ignore: true },
      ],
    },
  },
  config: { store: { path: join(folder, "store") }, log: { level: "debug" } },
};
let twinwire: Mirrored = await startMirrored(sides, OPTIONS);
t.teardown(() => twinwire.stop());

const QUERIES = {
  price: "select id, price from goods where id = 1",
  label: "select id, label from goods where id = 2",
  seen: "select id, seen from goods where id = 3",
} as const;

async function ask(sql: string): Promise<void> {
  const client = await twinwire.client();
  await client.query(sql);
  await client.end();
  await twinwire.judged();
}

async function inState(state: DivergenceState | "all"): Promise<readonly DivergenceItem[]> {
  const path = `${ROOT}/divergences?state=${state}`;
  return (await twinwire.api.get<Page<DivergenceItem>>(path)).items;
}

async function itemOf(column: string): Promise<DivergenceItem> {
  const item = (await inState("all")).find((each) => each.column === column);
  if (item === undefined) throw new Error(`no difference in ${column}`);
  return item;
}

async function ruleNamed(name: string): Promise<RuleItem> {
  const { items } = await twinwire.api.get<{ items: RuleItem[] }>(`${ROOT}/rules`);
  const rule = items.find((each) => each.name === name);
  if (rule === undefined) throw new Error(`no rule ${name}`);
  return rule;
}

function makeRule(body: object): Promise<RuleItem> {
  return twinwire.api.post<RuleItem>(`${ROOT}/rules`, body);
}

async function openGuard(): Promise<string | undefined> {
  const { guards } = await twinwire.api.get<Readiness>(`${ROOT}/readiness`);
  return guards.find(({ name }) => name === "open_divergences")?.value;
}

await t.test("rules that no database knows anything of are named", async (test) => {
  const warning = (name: string): Promise<RuleItem | false> =>
    ruleNamed(name).then((rule) => rule.warnings.length > 0 && rule);
  const { warnings } = await until("the names to be looked up", () => warning("of nothing"));
  test.strictSame(warnings, [
    "never applies: neither side has a table godos",
    "never applies: neither side has a type numerik",
    "no table of either side has a column pirce, so it applies only where a statement calls a result so",
  ]);
  test.match(twinwire.log(), /a rule may never apply/);
  test.strictSame((await ruleNamed("of goods")).warnings, []);
});

let tolerating = "";

await t.test("a tolerance made of a finding holds at once, and readiness with it", async (test) => {
  for (const sql of Object.values(QUERIES)) await ask(sql);
  await until("three differences", async () => (await inState("confirmed")).length === 3);
  test.equal(await openGuard(), "3");
  const price = await itemOf("price");
  const rule = await makeRule({ divergence: price.id, tolerate: { absolute: 0.01 } });
  tolerating = rule.name;
  test.match(rule, {
    match: { fingerprint: price.fingerprint, column: "price" },
    action: { kind: "tolerate", absolute: 0.01 },
    source: "api",
    divergence: price.id,
    applied: 0,
    covers: 1,
  });
  test.match(await itemOf("price"), {
    id: price.id,
    state: "ruled",
    settled: /Covered by the rule/,
  });
  test.equal(await openGuard(), "2");
  const before = (await twinwire.status()).verdicts;
  await ask(QUERIES.price);
  const after = (await twinwire.status()).verdicts;
  test.equal(after.tolerated, before.tolerated + 1);
  test.equal(after.divergent, before.divergent);
  test.equal((await ruleNamed(rule.name)).applied, 1);
  test.match(await itemOf("price"), { state: "ruled", count: 1 });
});

await t.test("what is ignored and cleaned is not open either", async (test) => {
  const [label, seen] = [await itemOf("label"), await itemOf("seen")];
  const cleaning = await makeRule({ divergence: label.id, clean: ["trim"] });
  const ignoring = await makeRule({ divergence: seen.id, ignore: true });
  test.equal(await openGuard(), "0");
  const before = (await twinwire.status()).verdicts;
  await ask(QUERIES.label);
  await ask(QUERIES.seen);
  const after = (await twinwire.status()).verdicts;
  const { match, incomparable } = before;
  test.same(after, { ...before, match: match + 1, incomparable: incomparable + 1 });
  test.equal((await ruleNamed(cleaning.name)).applied, 1);
  test.equal((await ruleNamed(ignoring.name)).applied, 1);
});

await t.test("contradictions and rules that could never apply are refused", async (test) => {
  const price = await itemOf("price");
  const rows: readonly (readonly [body: object, says: RegExp])[] = [
    [{ divergence: price.id, clean: ["trim"] }, /clean is for texts/],
    [{ divergence: price.id, tolerate: {} }, /tolerates nothing/],
    [{ divergence: price.id, tolerate: { absolute: 0.01 } }, /another rule has the same name/],
    [{ divergence: price.id, ignore: true }, /never applies: rule ignore price .* ignores all/],
    [{ name: "all", match: {}, ignore: true }, /nothing would be compared/],
    [{ name: "b", match: { fingerprint: "xyz" }, ignore: true }, /never matches: a fingerprint/],
    [{ divergence: "none", ignore: true }, /no such divergence/],
  ];
  for (const [body, says] of rows) await test.rejects(makeRule(body), { message: says });
  const { items } = await twinwire.api.get<{ items: RuleItem[] }>(`${ROOT}/rules`);
  test.equal(items.length, 5, "none of them was made");
  await test.rejects(twinwire.api.delete(`${ROOT}/rules/of%20goods`), { message: /configuration/ });
});

await t.test("rules made survive reloading the file and a restart", async (test) => {
  const config = JSON.parse(readFileSync(twinwire.configPath, "utf8")) as {
    migrations: { compare: { rules: object[] } }[];
  };
  config.migrations[0]?.compare.rules.push({
    name: "late",
    match: { table: "late" },
    ignore: true,
  });
  writeFileSync(twinwire.configPath, JSON.stringify(config));
  process.kill(twinwire.pid, "SIGHUP");
  const late = await until("the rule of the file", () => ruleNamed("late"));
  test.equal(late.source, "file");
  test.equal((await ruleNamed(tolerating)).source, "api");
  await ask(QUERIES.price);
  test.equal(await openGuard(), "0");
  test.equal((await ruleNamed(tolerating)).applied, 2);
  await twinwire.stop();
  twinwire = await startMirrored(sides, OPTIONS);
  test.match(await ruleNamed(tolerating), { source: "api", applied: 2, covers: 1 });
  await ask(QUERIES.price);
  test.equal(await openGuard(), "0");
  test.equal((await twinwire.status()).verdicts.divergent, 0);
});

await t.test("without its rule a difference is open again, and found again", async (test) => {
  test.strictSame(await twinwire.api.delete(`${ROOT}/rules/${encodeURIComponent(tolerating)}`), {
    removed: tolerating,
  });
  test.equal((await itemOf("price")).state, "confirmed");
  test.equal(await openGuard(), "1");
  await ask(QUERIES.price);
  await until("it to be found", async () => (await itemOf("price")).count === 2);
  const closed = await twinwire.api.post<DivergenceItem>(
    `${ROOT}/divergences/${(await itemOf("price")).id}/close`,
  );
  test.equal(closed.state, "closed");
  test.equal(await openGuard(), "0");
  await ask(QUERIES.price);
  await until("it to be open again", async () => (await itemOf("price")).state === "confirmed");
});
