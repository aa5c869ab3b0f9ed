import { createHash } from "node:crypto";
import { request } from "node:http";
import fc from "fast-check";
import tap from "tap";
import { migrationEndpoints } from "../../src/admin/migration-endpoints.ts";
import { openAdmin } from "../../src/admin/open-admin.ts";
import { route } from "../../src/admin/router.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { openMetrics } from "../../src/metrics/metrics.ts";
import { exchangeBytes, startAdmin } from "./admin-under-test.ts";
import { fakeMigration, fakePorts } from "./fake-ports.ts";

const TOKEN = "0123456789abcdef";
const ORDERS = "/api/v1/migrations/orders";

/** With exactly these headers: `fetch` keeps Host and Origin to itself. */
function statusOf(
  port: number,
  path: string,
  method: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, method, headers, agent: false } as const;
    const asked = request(options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.once("error", reject).end();
  });
}

void tap.test("with a token, data is for those who know it", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")), { token: TOKEN });
  t.teardown(admin.close);
  const rows: readonly (readonly [why: string, path: string, given: string, status: number])[] = [
    ["no token", ORDERS, "", 401],
    ["the token", ORDERS, `Bearer ${TOKEN}`, 200],
    ["the scheme in any case", ORDERS, `bearer  ${TOKEN}`, 200],
    ["another token", ORDERS, "Bearer 0123456789abcdeg", 401],
    ["a prefix of it", ORDERS, "Bearer 0123456789abcde", 401],
    ["more than it", ORDERS, `Bearer ${TOKEN}f`, 401],
    ["another scheme", ORDERS, `Basic ${TOKEN}`, 401],
    ["metrics need it as well", "/metrics", "", 401],
    ["and are given for it", "/metrics", `Bearer ${TOKEN}`, 200],
    ["probes do without", "/healthz", "", 200],
    ["so does readiness", "/readyz", "", 200],
    ["so does the page, which holds no data", "/", "", 200],
    ["so does the interface", "/api/v1/openapi.json", "", 200],
  ];
  for (const [why, path, given, status] of rows) {
    const response = await fetch(admin.url + path, { headers: { authorization: given } });
    t.equal(response.status, status, why);
    if (status === 401) t.match(response.headers.get("www-authenticate"), /^Bearer/);
  }
});

void tap.test(
  "a web page of somebody else's can do nothing with a reader on this machine",
  async (t) => {
    const migration = fakeMigration("orders");
    const admin = await startAdmin(fakePorts(migration));
    t.teardown(admin.close);
    const here = `127.0.0.1:${admin.port}`;
    const rows: readonly {
      why: string;
      method?: string;
      headers: Readonly<Record<string, string>>;
      status: number;
    }[] = [
      { why: "by address", headers: { host: here }, status: 200 },
      { why: "by name", headers: { host: `localhost:${admin.port}` }, status: 200 },
      { why: "by IPv6", headers: { host: `[::1]:${admin.port}` }, status: 200 },
      { why: "without a port", headers: { host: "localhost" }, status: 200 },
      {
        why: "a name that was bound anew",
        headers: { host: `evil.test:${admin.port}` },
        status: 403,
      },
      { why: "a name that looks alike", headers: { host: "127.0.0.1.evil.test" }, status: 403 },
      {
        why: "our own page acts",
        method: "POST",
        headers: { host: here, origin: `http://${here}`, "sec-fetch-site": "same-origin" },
        status: 409,
      },
      {
        why: "another page acts",
        method: "POST",
        headers: { host: here, origin: "http://evil.test" },
        status: 403,
      },
      {
        why: "a page of no origin acts",
        method: "POST",
        headers: { host: here, origin: "null" },
        status: 403,
      },
      {
        why: "another port is another origin",
        method: "POST",
        headers: { host: here, origin: "http://127.0.0.1:1" },
        status: 403,
      },
      {
        why: "the browser says that it is another site",
        method: "POST",
        headers: { host: here, "sec-fetch-site": "cross-site" },
        status: 403,
      },
    ];
    for (const { why, method = "GET", headers, status } of rows) {
      const path = method === "GET" ? ORDERS : `${ORDERS}/abort`;
      t.equal(await statusOf(admin.port, path, method, headers), status, why);
    }
    t.match(await exchangeBytes(admin.port, "GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1.1 200/);
  },
);

void tap.test("no answer allows another origin, a frame or a copy", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")));
  t.teardown(admin.close);
  for (const path of ["/", "/healthz", ORDERS, "/nope", `${ORDERS}/report?format=html`]) {
    const { headers } = await fetch(admin.url + path);
    t.equal(headers.get("access-control-allow-origin"), null, path);
    t.equal(headers.get("x-content-type-options"), "nosniff", path);
    t.equal(headers.get("cache-control"), "no-store", path);
    t.match(headers.get("content-security-policy"), /default-src 'none'/, path);
  }
});

void tap.test("the page runs its own code only, and loads nothing", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")));
  t.teardown(admin.close);
  const response = await fetch(admin.url);
  const policy = response.headers.get("content-security-policy") ?? "";
  const page = await response.text();
  for (const [tag, directive] of [
    ["script", "script-src"],
    ["style", "style-src"],
  ] as const) {
    const content = new RegExp(`<${tag}>(.*?)</${tag}>`, "s").exec(page)?.[1] ?? "";
    const hash = createHash("sha256").update(content).digest("base64");
    t.match(policy, `${directive} 'sha256-${hash}'`, tag);
    t.ok(content.length > 1000, `${tag} is there`);
  }
  t.notMatch(page, /\s(on\w+|style)=/, "no code or style in attributes, which the policy forbids");
  t.notMatch(page, /(src|href)="(https?:)?\/\//, "nothing from elsewhere");
  t.notMatch(page, /innerHTML|insertAdjacentHTML|document\.write|eval\(/, "text stays text");
});

void tap.test("any target and method is answered by one endpoint or one problem", async (t) => {
  const endpoints = migrationEndpoints();
  const target = fc.oneof(
    fc.string(),
    fc.string().map((text) => `/${text}`),
    fc.webPath(),
    fc.tuple(fc.string(), fc.string()).map(([a, b]) => `${ORDERS}/${a}?${b}`),
  );
  fc.assert(
    fc.property(fc.constantFrom("GET", "POST", "HEAD", "X"), target, (method, url) => {
      const found = route(endpoints, method, url);
      return found.kind === "match" || (found.status >= 400 && found.status < 500);
    }),
    { numRuns: 500 },
  );
  t.pass("and nothing is thrown");
});

void tap.test("beyond loopback it does not start without a token", async (t) => {
  const deps = { logger: silentLogger, metrics: openMetrics(), version: "0.0.0" };
  for (const host of ["0.0.0.0", "::", "some.host.test"]) {
    const config = { host, port: 0, token: undefined };
    await t.rejects(openAdmin(config, fakePorts(), deps), { code: "config_invalid" }, host);
  }
  const open = await openAdmin({ host: "0.0.0.0", port: 0, token: TOKEN }, fakePorts(), deps);
  t.teardown(open.close);
  const port = Number(open.address.split(":").at(-1));
  const asked = { host: "twinwire.internal", authorization: `Bearer ${TOKEN}` };
  t.equal(await statusOf(port, "/api/v1/migrations", "GET", asked), 200, "under any name");
});

void tap.test("an address that is taken is named", async (t) => {
  const first = await startAdmin(fakePorts());
  t.teardown(first.close);
  const deps = { logger: silentLogger, metrics: openMetrics(), version: "0.0.0" };
  const config = { host: "127.0.0.1", port: first.port, token: undefined };
  await t.rejects(openAdmin(config, fakePorts(), deps), {
    code: "config_invalid",
    message: `the admin API cannot listen on 127.0.0.1:${first.port} (EADDRINUSE)`,
  });
});
