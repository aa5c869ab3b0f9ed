import { readFile } from "node:fs/promises";
import tap from "tap";
import { VERSION } from "../../src/base/version.ts";
import { startAdmin } from "../admin/admin-under-test.ts";
import { fakeMigration, fakePorts, guard } from "../admin/fake-ports.ts";
import type { FakeMigration } from "../admin/fake-ports.ts";
import { eachOf, inProcess, twinwire } from "./twinwire-command.ts";

type Row = {
  readonly why: string;
  readonly args: string;
  readonly exit: number;
  readonly out?: RegExp;
  readonly err?: RegExp;
  /** As a process of its own, not only through the function behind it: one row for each way to end. */
  readonly process?: true;
  /** Done to the migration before the command runs. */
  readonly before?: (migration: FakeMigration) => void;
  /** Other than one migration named orders. */
  readonly migrations?: readonly string[];
  readonly token?: string;
  readonly env?: Readonly<Record<string, string>>;
};

const ROWS: readonly Row[] = [
  {
    why: "status",
    process: true,
    args: "status",
    exit: 0,
    out: /^migration +orders\nroute +OLD answers, phase in_sync, epoch 4\nsessions +12\n.*coverage +65\.6 % compared\n.*go back +no: Someone else/s,
  },
  { why: "status as JSON", args: "status --json", exit: 0, out: /^\{\n {2}"name": "orders",/ },
  {
    why: "divergences end with their own code",
    process: true,
    args: "divergences",
    exit: 4,
    out: /^ID +TIMES +WHAT DIFFERS +STATEMENT\nd1 +114 +error_on_shadow +SELECT/,
  },
  {
    why: "no divergences are fine",
    process: true,
    args: "divergences",
    before: (migration) => migration.divergent.splice(0),
    exit: 0,
    out: /^No divergences\./,
  },
  {
    why: "as JSON they keep their code",
    args: "divergences --json",
    exit: 4,
    out: /"next": null\n\}\n$/,
  },
  {
    why: "one divergence",
    args: "divergences d2",
    exit: 0,
    out: /column +total\n.*AT +PRIMARY +SHADOW\n.*‹numeric 5 characters #1f00aa37› +NULL\n$/s,
  },
  {
    why: "one divergence says how it was confirmed and whether it can be asked again",
    args: "divergences d2",
    exit: 0,
    out: /state +confirmed\n.*settled +The primary agreed.*recheck +possible: its last request is kept/s,
  },
  {
    why: "those that are not open are none to stop at",
    args: "divergences --state closed",
    exit: 0,
    out: /^None\.\n$/,
  },
  {
    why: "with all of them the state is shown",
    args: "divergences --state all",
    exit: 4,
    out: /^ID +STATE +TIMES .*\nd1 +confirmed +114/,
  },
  {
    why: "a recheck that found it gone",
    process: true,
    args: "divergences recheck d1",
    exit: 0,
    out: /^transient: The sides agreed at the second attempt\.\nasked 2 times in 13 ms\n$/,
  },
  {
    why: "a recheck that found it again",
    args: "divergences recheck d1",
    before: (migration) => {
      migration.rechecked = { ...migration.rechecked, outcome: "divergent", column: "total" };
    },
    exit: 4,
    out: /^divergent in total: /,
  },
  {
    why: "a recheck of what cannot be repeated",
    args: "divergences recheck d1",
    before: (migration) => {
      const [first] = migration.divergent;
      if (first === undefined) return;
      const repeatable = { ok: false, reason: "Its parameters were kept in memory only." };
      migration.divergent[0] = { ...first, repeatable };
    },
    exit: 1,
    err: /Its parameters were kept in memory only/,
  },
  { why: "options may stand last", args: "divergences recheck d1 --json", exit: 0, out: /^\{\n/ },
  { why: "closing", args: "divergences close d1", exit: 0, out: /^closed d1; / },
  {
    why: "a rule that ignores",
    args: "divergences ignore d1",
    exit: 0,
    out: /^made the rule "ignore d1", in force now\n$/,
  },
  {
    why: "a rule that tolerates",
    args: "divergences tolerate d2 --absolute 0.01 --json",
    exit: 0,
    out: /"kind": "tolerate",\n +"absolute": 0\.01\n/,
  },
  {
    why: "a rule that tolerates nothing",
    args: "divergences tolerate d2",
    exit: 2,
    err: /say how much/,
  },
  {
    why: "less than nothing",
    args: "divergences tolerate d2 --relative=-1",
    exit: 2,
    err: /a number not below 0/,
  },
  {
    why: "a rule that cleans",
    args: "divergences clean d2 --with trim,lower_case --json",
    exit: 0,
    out: /"trim",\n +"lower_case"\n/,
  },
  {
    why: "the rules, with what speaks against them",
    process: true,
    args: "rules",
    exit: 0,
    out: /totals may differ by a +tolerate absolute 0\.01 +configuration +1,200 +0\n.*warning: totals may differ by a cent: never applies: neither side has a type numerik\n$/s,
  },
  { why: "no rules", args: "rules", before: (m) => m.ruled.splice(0), exit: 0, out: /^No rules/ },
  {
    why: "a rule goes",
    args: "rules remove gone",
    before: (migration) => {
      const [rule] = migration.ruled;
      if (rule !== undefined) migration.ruled.push({ ...rule, name: "gone", source: "api" });
    },
    exit: 0,
    out: /^removed the rule "gone"; what it covered is open again\n$/,
  },
  { why: "no such rule", args: "rules remove none", exit: 1, err: /There is no such rule/ },
  {
    why: "no such divergence",
    args: "divergences d9",
    exit: 1,
    err: /There is no such divergence/,
  },
  {
    why: "statements",
    args: "fingerprints",
    exit: 0,
    out: /3,000 +90 % +3 +0\.42\/0\.39 +– +SELECT.*\n\n90 % of all 6,000 statements were compared\.\n$/s,
  },
  {
    why: "not ready is a refusal",
    process: true,
    args: "readiness",
    exit: 3,
    out: /^Not ready.*FAILS +open_divergences +3 +0 +Mend open_divergences\.\n$/s,
  },
  {
    why: "ready",
    args: "readiness",
    before: (migration) => migration.guards.splice(1),
    exit: 0,
    out: /^Ready for a cutover\./,
  },
  { why: "a report", args: "report", exit: 0, out: /^# Report of orders\n$/ },
  {
    why: "a report as JSON",
    args: "report --format json",
    exit: 0,
    out: /^\{"migration":"orders"\}\n$/,
  },
  { why: "--json is a format too", args: "report --json", exit: 0, out: /^\{/ },
  {
    why: "the traffic is moved, step by step",
    process: true,
    args: "route new",
    exit: 0,
    out: /^ +0 ms +preparing +9\.5 ms +preparing done\n.* +40 ms +resumed .*\nroute succeeded, clients waited 32 ms\n$/s,
  },
  {
    why: "as JSON, only the end",
    args: "cutover --json",
    exit: 0,
    out: /^\{\n {2}"id": "a1",\n {2}"verb": "cutover",\n {2}"state": "succeeded"/,
  },
  { why: "and back", args: "rollback", exit: 0, out: /rollback succeeded/ },
  {
    why: "an attempt that fails",
    process: true,
    args: "cutover",
    before: (migration) => {
      migration.ending = { state: "failed", outcome: "held up by app at 10.0.0.7 for 5 s" };
    },
    exit: 1,
    out: /\ncutover failed, clients waited 32 ms: held up by app at 10\.0\.0\.7 for 5 s\n$/,
  },
  {
    why: "a guard refuses",
    process: true,
    args: "cutover",
    before: (migration) => {
      migration.next = {
        kind: "refused",
        guards: [guard("reachable", true), guard("fresh", false)],
      };
    },
    exit: 3,
    err: /^error: Refused by a guard: fresh\.\n {2}fresh: 3, limit 0\. Mend fresh\.\n$/,
  },
  { why: "nothing to abort", args: "abort", exit: 1, err: /^error: No attempt is running\.\n$/ },
  { why: "mirroring off", args: "shadow off", exit: 0, out: /^shadow off, 100 % of/ },
  { why: "its share", args: "shadow --sample 0.25", exit: 0, out: /^shadow on, 25 % of/ },
  { why: "both", args: "shadow on --sample 1 --json", exit: 0, out: /"sample": 1,/ },
  // Which Twinwire, and which migration.
  {
    why: "one of several has to be named",
    args: "status",
    migrations: ["orders", "billing"],
    exit: 2,
    err: /--migration is needed, one of: orders, billing/,
  },
  {
    why: "it is named",
    args: "status --migration billing",
    migrations: ["orders", "billing"],
    exit: 0,
    out: /^migration +billing\n/,
  },
  {
    why: "it is not there",
    args: "status --migration nope",
    exit: 1,
    err: /no migration of this name/,
  },
  { why: "there is none", args: "status", migrations: [], exit: 2, err: /there is no migration/ },
  {
    why: "a token is needed",
    args: "status",
    token: "0123456789abcdef",
    exit: 1,
    err: /A token is needed.*--token or in TWINWIRE_TOKEN/,
  },
  {
    why: "the wrong one is told from none",
    args: "status --token wrong",
    token: "0123456789abcdef",
    exit: 1,
    err: /not the right one/,
  },
  {
    why: "the right one from the environment",
    process: true,
    args: "status",
    token: "0123456789abcdef",
    env: { TWINWIRE_TOKEN: "0123456789abcdef" },
    exit: 0,
  },
  {
    why: "nobody there",
    process: true,
    args: "status --admin http://127.0.0.1:2",
    exit: 1,
    err: /^error: no answer from http:\/\/127\.0\.0\.1:2 \(ECONNREFUSED\): is `twinwire serve` running there\?\n$/,
  },
  {
    why: "an address that is none",
    args: "status --admin http://[",
    exit: 2,
    err: /expected http/,
  },
  // Usage.
  {
    why: "help",
    process: true,
    args: "--help",
    exit: 0,
    out: /^Usage: twinwire .*Exit codes: 0 fine, 1 failed/s,
  },
  { why: "help of one", args: "route -h", exit: 0, out: /Examples:\n {2}\$ twinwire route new/ },
  { why: "version", args: "--version", exit: 0, out: /^\d+\.\d+\.\d+\n$/ },
  {
    why: "nothing at all shows the help",
    process: true,
    args: "",
    exit: 2,
    err: /^Usage: twinwire/,
  },
  {
    why: "rows that differ end it with 4, with their causes",
    args: "verify public.orders",
    exit: 4,
    out: /1 cause explains 1 rows\n +1 in public\.orders: what: spaces at the end\n.*public\.orders id = 7/s,
  },
  {
    why: "a repair begins with what it would do",
    args: "verify --repair",
    exit: 4,
    out: /nothing was changed; --yes would make 1 rows of NEW what they are in OLD/,
  },
  {
    why: "and is done when told so",
    args: "verify --repair --yes",
    exit: 4,
    out: /0 rows repaired/,
  },
  { why: "the same as JSON", args: "verify --json", exit: 4, out: /"mismatches": 1,/ },
  {
    why: "a table that cannot be verified now",
    args: "verify public.nowhere",
    exit: 1,
    err: /Not now/,
  },
  {
    why: "a typing error",
    process: true,
    args: "statu",
    exit: 2,
    err: /unknown command 'statu'\n\(Did you mean status\?\)/,
  },
  {
    why: "a command of a later version is not there",
    args: "rehearse",
    exit: 2,
    err: /unknown command/,
  },
  { why: "an unknown option", args: "status --jsno", exit: 2, err: /Did you mean --json\?/ },
  { why: "a side that is none", args: "route neww", exit: 2, err: /Allowed choices are old, new/ },
  { why: "no side", args: "route", exit: 2, err: /missing required argument 'side'/ },
  { why: "too much", args: "divergences d1 d2", exit: 2, err: /too many arguments/ },
  { why: "no change", args: "shadow", exit: 2, err: /say on, off, or --sample/ },
  { why: "a share above all", args: "shadow --sample 2", exit: 2, err: /a share from 0 to 1/ },
  { why: "a format that is none", args: "report --format pdf", exit: 2, err: /md, json, html/ },
  { why: "serve without a file", args: "serve", exit: 2, err: /'-c, --config <file>'/ },
  { why: "seconds that are none", args: "demo --seconds soon", exit: 2, err: /a number above 0/ },
];

void tap.test("every command says what it did and ends with the right code", async (t) => {
  await eachOf(ROWS, 3, async (row) => {
    const migrations = (row.migrations ?? ["orders"]).map(fakeMigration);
    for (const migration of migrations) row.before?.(migration);
    const options = row.token === undefined ? {} : { token: row.token };
    const admin = await startAdmin(fakePorts(...migrations), options);
    const args = row.args.split(" ").filter((word) => word !== "");
    const env = { TWINWIRE_ADMIN: admin.url, ...row.env };
    const ended = await (row.process === true ? twinwire(args, env) : inProcess(args, env));
    await admin.close();
    t.equal(ended.exitCode, row.exit, `${row.why}: ${ended.err}`);
    t.match(ended.out, row.out ?? (row.err === undefined ? /./ : /^$/), `${row.why}: output`);
    t.match(ended.err, row.err ?? /^$/, `${row.why}: complaint`);
    const longest = Math.max(...ended.out.split("\n").map((line) => line.length));
    t.ok(
      longest <= 100 || row.args.includes("json"),
      `${row.why}: fits 100 columns, has ${longest}`,
    );
    t.notMatch(ended.out + ended.err, "\u001B", `${row.why}: no colours where nobody watches`);
  });
});

void tap.test(
  "whoever watches sees that it goes on, and the line is cleared at the end",
  async (t) => {
    const admin = await startAdmin(fakePorts(fakeMigration("orders")));
    t.teardown(admin.close);
    const written = await inProcess(["rollback"], { TWINWIRE_ADMIN: admin.url }, true);
    t.equal(written.exitCode, 0);
    t.match(written.err, /rollback: begun, 0\.0 s.*rollback: moving, 0\.\d s/s);
    t.ok(written.err.endsWith("\r\u001B[K"));
    t.match(written.out, /rollback succeeded, clients waited 32 ms\n$/);
  },
);

void tap.test("the version is that of the package", async (t) => {
  const manifest = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
  t.equal(VERSION, manifest.version);
});
