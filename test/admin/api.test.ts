import tap from "tap";
import { CodedError } from "../../src/base/errors.ts";
import type { AttemptItem } from "../../src/admin/ports.ts";
import { fakeMigration, fakePorts, guard } from "./fake-ports.ts";
import { startAdmin } from "./admin-under-test.ts";

const ORDERS = "/api/v1/migrations/orders";

type Row = {
  readonly why: string;
  readonly method?: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  /** Part of the JSON answered. */
  readonly answer?: object;
  readonly type?: string;
};

const JSON_TYPE = "application/json; charset=utf-8";
const PROBLEM_TYPE = "application/problem+json";

const ROWS: readonly Row[] = [
  { why: "alive", path: "/healthz", status: 200, answer: { status: "ok" } },
  { why: "ready", path: "/readyz", status: 200, answer: { ready: true, reasons: [] } },
  {
    why: "metrics",
    path: "/metrics",
    status: 200,
    type: "text/plain; version=0.0.4; charset=utf-8",
  },
  { why: "the page", path: "/", status: 200, type: "text/html; charset=utf-8" },
  {
    why: "all migrations",
    path: "/api/v1/migrations",
    status: 200,
    answer: { items: [{ name: "orders" }, { name: "a/b c" }] },
  },
  {
    why: "status",
    path: ORDERS,
    status: 200,
    answer: { name: "orders", phase: "in_sync", route: { primary: "old" }, sessions: 12 },
  },
  {
    why: "a name that must be encoded",
    path: "/api/v1/migrations/a%2Fb%20c",
    status: 200,
    answer: { name: "a/b c" },
  },
  {
    why: "a first page",
    path: `${ORDERS}/divergences?limit=1`,
    status: 200,
    answer: { items: [{ id: "d1" }], next: "1" },
  },
  {
    why: "the page after",
    path: `${ORDERS}/divergences?limit=1&after=1`,
    status: 200,
    answer: { items: [{ id: "d2" }], next: null },
  },
  { why: "one", path: `${ORDERS}/divergences/d2`, status: 200, answer: { column: "total" } },
  {
    why: "statements",
    path: `${ORDERS}/fingerprints`,
    status: 200,
    answer: { next: null, totals: { comparedShare: 0.9 } },
  },
  { why: "guards", path: `${ORDERS}/readiness`, status: 200, answer: { ready: false } },
  { why: "no attempts yet", path: `${ORDERS}/attempts`, status: 200, answer: { items: [] } },
  { why: "a report", path: `${ORDERS}/report`, status: 200, answer: { migration: "orders" } },
  {
    why: "a report to read",
    path: `${ORDERS}/report?format=md`,
    status: 200,
    type: "text/markdown; charset=utf-8",
  },
  {
    why: "a report as a page",
    path: `${ORDERS}/report?format=html`,
    status: 200,
    type: "text/html; charset=utf-8",
  },
  {
    why: "mirroring changed",
    method: "POST",
    path: `${ORDERS}/shadow`,
    body: '{"enabled":false,"sample":0.2}',
    status: 200,
    answer: { enabled: false, sample: 0.2, state: "off" },
  },
  {
    why: "nothing to abort",
    method: "POST",
    path: `${ORDERS}/abort`,
    status: 409,
    answer: { code: "conflict", detail: "No attempt is running." },
  },
  {
    why: "an empty object where no body is needed",
    method: "POST",
    path: `${ORDERS}/abort`,
    body: "{}",
    status: 409,
    answer: { code: "conflict" },
  },
  // Rows of both sides.
  { why: "what is known of them", path: `${ORDERS}/verify`, status: 200 },
  {
    why: "verify some tables",
    method: "POST",
    path: `${ORDERS}/verify`,
    body: `{"tables":["public.orders"]}`,
    status: 200,
    answer: { phase: "done" },
  },
  {
    why: "verify when it cannot be done",
    method: "POST",
    path: `${ORDERS}/verify`,
    body: `{"tables":["public.nowhere"]}`,
    status: 409,
    answer: { code: "conflict" },
  },
  {
    why: "verify something else than tables",
    method: "POST",
    path: `${ORDERS}/verify`,
    body: `{"tables":"public.orders"}`,
    status: 400,
  },
  // What is not there.
  { why: "no such path", path: "/api/v2", status: 404, answer: { code: "not_found" } },
  { why: "a slash too many", path: `${ORDERS}/`, status: 404 },
  { why: "no such migration", path: "/api/v1/migrations/nope", status: 404 },
  {
    why: "no such migration, for a verb of a later version too",
    method: "POST",
    path: "/api/v1/migrations/nope/rehearse",
    status: 404,
  },
  { why: "no such divergence", path: `${ORDERS}/divergences/nope`, status: 404 },
  { why: "no such attempt", path: `${ORDERS}/attempts/nope`, status: 404 },
  {
    why: "a verb of a later version",
    method: "POST",
    path: `${ORDERS}/rehearse`,
    status: 501,
    answer: {
      type: "about:blank",
      title: "Not Implemented",
      status: 501,
      code: "not_implemented",
      detail: "This version cannot do this: go through a cutover without the decision.",
    },
  },
  // Differences and rules.
  {
    why: "what may be left out says so",
    path: `${ORDERS}/divergences?state=unsettled`,
    status: 200,
    answer: { items: [], next: null },
  },
  {
    why: "a state that is none",
    path: `${ORDERS}/divergences?state=open`,
    status: 400,
    answer: { detail: "state: expected confirmed, unsettled, ruled, closed or all." },
  },
  {
    why: "a recheck",
    method: "POST",
    path: `${ORDERS}/divergences/d1/recheck`,
    status: 200,
    answer: { outcome: "transient", attempts: 2, tookMs: 12.5 },
  },
  {
    why: "a recheck of nothing",
    method: "POST",
    path: `${ORDERS}/divergences/d9/recheck`,
    status: 404,
  },
  {
    why: "one that was cured",
    method: "POST",
    path: `${ORDERS}/divergences/d1/close`,
    status: 200,
    answer: { id: "d1", state: "closed" },
  },
  { why: "closing nothing", method: "POST", path: `${ORDERS}/divergences/d9/close`, status: 404 },
  {
    why: "the rules",
    path: `${ORDERS}/rules`,
    status: 200,
    answer: { items: [{ name: "totals may differ by a cent", source: "file", applied: 1200 }] },
  },
  {
    why: "a rule of a divergence",
    method: "POST",
    path: `${ORDERS}/rules`,
    body: '{"divergence":"d1","tolerate":{"absolute":0.01}}',
    status: 201,
    answer: { name: "tolerate d1", divergence: "d1", action: { kind: "tolerate", absolute: 0.01 } },
  },
  {
    why: "a rule of conditions",
    method: "POST",
    path: `${ORDERS}/rules`,
    body: '{"name":"codes","match":{"column":"code"},"clean":["trim"]}',
    status: 201,
    answer: { name: "codes", match: { column: "code" }, action: { kind: "clean", with: ["trim"] } },
  },
  {
    why: "a rule of a divergence that is not there",
    method: "POST",
    path: `${ORDERS}/rules`,
    body: '{"divergence":"d9","ignore":true}',
    status: 404,
    answer: { detail: "There is no such divergence." },
  },
  {
    why: "a rule that contradicts another",
    method: "POST",
    path: `${ORDERS}/rules`,
    body: '{"name":"totals may differ by a cent","match":{"column":"total"},"ignore":true}',
    status: 409,
    answer: {
      code: "rule_refused",
      detail: "The rule is refused: totals may differ by a cent: another rule has the same name.",
    },
  },
  {
    why: "two actions",
    method: "POST",
    path: `${ORDERS}/rules`,
    body: '{"divergence":"d1","ignore":true,"clean":["trim"]}',
    status: 400,
    answer: { detail: "needs exactly one of ignore, tolerate and clean." },
  },
  {
    why: "neither a divergence nor conditions",
    method: "POST",
    path: `${ORDERS}/rules`,
    body: '{"name":"all","ignore":true}',
    status: 400,
    answer: { detail: "needs either divergence, or name and match." },
  },
  {
    why: "wrong words in a rule",
    method: "POST",
    path: `${ORDERS}/rules`,
    body: '{"divergence":"d1","clean":["trim","lowercase"],"ignroe":true}',
    status: 400,
    answer: { code: "bad_body" },
  },
  {
    why: "a rule of the file stays",
    method: "DELETE",
    path: `${ORDERS}/rules/totals%20may%20differ%20by%20a%20cent`,
    status: 409,
    answer: { code: "rule_in_file" },
  },
  { why: "no such rule", method: "DELETE", path: `${ORDERS}/rules/none`, status: 404 },
  // What is not understood.
  { why: "the wrong method", method: "DELETE", path: ORDERS, status: 405 },
  {
    why: "no preflight, so no other origin",
    method: "OPTIONS",
    path: `${ORDERS}/route`,
    status: 405,
  },
  { why: "half an encoding", path: "/%zz", status: 400, answer: { code: "bad_target" } },
  { why: "a very long target", path: `/${"a".repeat(5000)}`, status: 400 },
  { why: "a limit of none", path: `${ORDERS}/divergences?limit=0`, status: 400 },
  { why: "a limit of words", path: `${ORDERS}/divergences?limit=ten`, status: 400 },
  { why: "a limit too large", path: `${ORDERS}/fingerprints?limit=1001`, status: 400 },
  { why: "an empty cursor", path: `${ORDERS}/divergences?after=`, status: 400 },
  {
    why: "a parameter twice",
    path: `${ORDERS}/divergences?limit=1&limit=2`,
    status: 400,
    answer: { detail: "The parameter limit is given twice." },
  },
  {
    why: "a parameter with a typing error",
    path: `${ORDERS}/report?fromat=md`,
    status: 400,
    answer: {
      detail: "A query parameter is not known here (known: format). Did you mean format?",
    },
  },
  { why: "a format that is none", path: `${ORDERS}/report?format=pdf`, status: 400 },
  {
    why: "no body",
    method: "POST",
    path: `${ORDERS}/route`,
    status: 400,
    answer: { detail: "A JSON body is needed." },
  },
  {
    why: "half a body",
    method: "POST",
    path: `${ORDERS}/route`,
    body: '{"primary":',
    status: 400,
    answer: { detail: "The body is not JSON: it ends too early." },
  },
  {
    why: "not JSON",
    method: "POST",
    path: `${ORDERS}/route`,
    body: "primary=new and a long rest",
    status: 400,
    answer: { code: "bad_body" },
  },
  {
    why: "wrong values and keys, all of them named",
    method: "POST",
    path: `${ORDERS}/shadow`,
    body: '{"enabled":"yes","sample":2,"smaple":1}',
    status: 400,
    answer: {
      detail:
        "enabled: expected true or false; sample: expected a share from 0 to 1; " +
        "smaple: unknown key smaple: did you mean sample?.",
    },
  },
  {
    why: "nothing to change",
    method: "POST",
    path: `${ORDERS}/shadow`,
    body: "{}",
    status: 400,
    answer: { detail: "Nothing to change: give enabled, sample or both." },
  },
  { why: "a list", method: "POST", path: `${ORDERS}/route`, body: "[]", status: 400 },
  {
    why: "a body where none is expected",
    method: "POST",
    path: `${ORDERS}/cutover`,
    body: '{"force":true}',
    status: 400,
  },
  {
    why: "a body too large",
    method: "POST",
    path: `${ORDERS}/route`,
    body: " ".repeat(70_000),
    status: 413,
  },
];

void tap.test(
  "every request gets the answer that its address, method and body deserve",
  async (t) => {
    const ports = fakePorts(fakeMigration("orders"), fakeMigration("a/b c"));
    const admin = await startAdmin(ports);
    t.teardown(admin.close);
    for (const row of ROWS) {
      const { why, method = "GET", path, body, headers = {}, status } = row;
      const response = await fetch(admin.url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      t.equal(response.status, status, why);
      const type = row.type ?? (status < 400 ? JSON_TYPE : PROBLEM_TYPE);
      t.equal(response.headers.get("content-type"), type, `${why}: type`);
      if (row.answer !== undefined) t.match(JSON.parse(text), row.answer, `${why}: answer`);
    }
  },
);

void tap.test("a problem names what is allowed instead", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")));
  t.teardown(admin.close);
  const reading = await fetch(admin.url + ORDERS, { method: "PUT" });
  t.equal(reading.headers.get("allow"), "GET, HEAD");
  const acting = await fetch(`${admin.url}${ORDERS}/route`);
  t.equal(acting.status, 405);
  t.equal(acting.headers.get("allow"), "POST");
});

void tap.test("HEAD is GET without its body", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")));
  t.teardown(admin.close);
  for (const path of [ORDERS, "/", `${ORDERS}/events`]) {
    const response = await fetch(admin.url + path, { method: "HEAD" });
    t.equal(response.status, 200, path);
    t.equal(await response.text(), "", path);
  }
});

void tap.test("a toggle is begun, and followed to its end", async (t) => {
  const migration = fakeMigration("orders");
  const admin = await startAdmin(fakePorts(migration));
  t.teardown(admin.close);
  for (const [path, body, primary] of [
    ["route", '{"primary":"new"}', "new"],
    ["rollback", undefined, "old"],
    ["cutover", undefined, "new"],
  ] as const) {
    const begun = await fetch(`${admin.url}${ORDERS}/${path}`, {
      method: "POST",
      ...(body === undefined ? {} : { body }),
    });
    t.equal(begun.status, 202, path);
    const location = begun.headers.get("location") ?? "";
    let attempt = (await begun.json()) as AttemptItem;
    t.match(attempt, { verb: path, state: "running", timeline: [] });
    while (attempt.state === "running") {
      attempt = (await (await fetch(admin.url + location)).json()) as AttemptItem;
    }
    t.match(attempt, { state: "succeeded", pauseMs: 31.5 });
    t.equal(migration.primary, primary);
  }
});

void tap.test("a refusal says which guards, a conflict says what is under way", async (t) => {
  const migration = fakeMigration("orders");
  const admin = await startAdmin(fakePorts(migration));
  t.teardown(admin.close);
  const cutover = async (): Promise<Response> =>
    fetch(`${admin.url}${ORDERS}/cutover`, { method: "POST" });

  migration.next = { kind: "refused", guards: [guard("reachable", true), guard("fresh", false)] };
  const refused = await cutover();
  t.equal(refused.status, 409);
  t.match(await refused.json(), {
    code: "refused_by_guard",
    detail: "Refused by a guard: fresh.",
    guards: [{ name: "reachable" }, { name: "fresh", ok: false, cure: "Mend fresh." }],
  });

  migration.next = new CodedError("conflict", "Another attempt is running.");
  const conflict = await cutover();
  t.equal(conflict.status, 409);
  t.match(await conflict.json(), { code: "conflict", detail: "Another attempt is running." });
});

void tap.test("an unexpected failure tells the client nothing of its insides", async (t) => {
  const migration = fakeMigration("orders");
  const admin = await startAdmin(fakePorts(migration));
  t.teardown(admin.close);
  migration.next = new Error("password of app is hunter2");
  const response = await fetch(`${admin.url}${ORDERS}/cutover`, { method: "POST" });
  t.equal(response.status, 500);
  const text = await response.text();
  t.match(text, '"code":"internal"');
  t.notMatch(text, "hunter2");
});

void tap.test("whoever is not ready says why, and still lives", async (t) => {
  const ports = fakePorts(fakeMigration("orders"));
  const admin = await startAdmin(ports);
  t.teardown(admin.close);
  ports.reasons.push("OLD of orders cannot be reached");
  const response = await fetch(`${admin.url}/readyz`);
  t.equal(response.status, 503);
  t.strictSame(await response.json(), {
    ready: false,
    reasons: ["OLD of orders cannot be reached"],
  });
  t.equal((await fetch(`${admin.url}/healthz`)).status, 200);
});

void tap.test("answers are counted by their status", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")));
  t.teardown(admin.close);
  for (const path of ["/healthz", "/healthz", "/nope"]) await fetch(admin.url + path);
  const text = await admin.metrics.text();
  t.match(text, 'twinwire_admin_requests_total{status="200"} 2\n');
  t.match(text, 'twinwire_admin_requests_total{status="404"} 1\n');
});

void tap.test("closing ends what is open and frees the port", async (t) => {
  const migration = fakeMigration("orders");
  const admin = await startAdmin(fakePorts(migration));
  const stream = await fetch(`${admin.url}${ORDERS}/events`);
  await admin.close();
  await stream.text();
  t.equal(migration.watchers(), 0);
  await t.rejects(fetch(`${admin.url}/healthz`), "nobody answers any more");
});
