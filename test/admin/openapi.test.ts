import tap from "tap";
import { z } from "zod";
import { SCHEMAS } from "../../src/admin/schemas.ts";
import { fakeMigration, fakePorts } from "./fake-ports.ts";
import { startAdmin } from "./admin-under-test.ts";

/** As much of OpenAPI 3.1 as a document that is generated could get wrong. */
const reply = z.strictObject({
  description: z.string().min(1),
  content: z
    .record(z.string(), z.strictObject({ schema: z.looseObject({ $ref: z.string().optional() }) }))
    .optional(),
});
const operation = z.strictObject({
  summary: z.string().min(1),
  operationId: z.string().regex(/^(get|post|delete)[A-Z]\w+$/),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(
    z.strictObject({
      name: z.string(),
      in: z.enum(["path", "query"]),
      required: z.boolean(),
      description: z.string().optional(),
      schema: z.looseObject({}),
    }),
  ),
  requestBody: z
    .strictObject({ required: z.boolean(), content: z.record(z.string(), z.looseObject({})) })
    .optional(),
  responses: z.record(z.string().regex(/^[1-5]\d\d$/), reply),
});
const document = z.strictObject({
  openapi: z.literal("3.1.0"),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  paths: z.record(
    z.string().startsWith("/"),
    z.partialRecord(z.enum(["get", "post", "delete"]), operation),
  ),
  components: z.strictObject({
    schemas: z.record(z.string(), z.looseObject({})),
    securitySchemes: z.record(z.string(), z.looseObject({})),
  }),
});

type Endpoint = {
  readonly method: string;
  readonly path: string;
  readonly is: z.output<typeof operation>;
};

function endpointsOf(api: z.output<typeof document>): Endpoint[] {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, is]) =>
      is === undefined ? [] : [{ method: method.toUpperCase(), path, is }],
    ),
  );
}

/** The public interface, so that none is lost unnoticed. */
const INTERFACE = [
  "GET /",
  "GET /healthz",
  "GET /readyz",
  "GET /metrics",
  "GET /api/v1/openapi.json",
  "GET /api/v1/migrations",
  ...[
    "GET ",
    "POST /route",
    "POST /shadow",
    "GET /replication",
    "POST /replication/start",
    "POST /replication/stop",
    "GET /verify",
    "POST /verify",
    "POST /rehearse",
    "POST /cutover",
    "POST /rollback",
    "POST /abort",
    "POST /finalize",
    "GET /divergences",
    "GET /divergences/{id}",
    "POST /divergences/{id}/recheck",
    "POST /divergences/{id}/close",
    "GET /rules",
    "POST /rules",
    "DELETE /rules/{rule}",
    "GET /fingerprints",
    "GET /readiness",
    "GET /attempts",
    "GET /attempts/{id}",
    "GET /events",
    "GET /report",
  ].map((line) => line.replace(" ", " /api/v1/migrations/{name}")),
];

void tap.test("the document is well-formed and names the whole interface", async (t) => {
  const admin = await startAdmin(fakePorts(fakeMigration("orders")));
  t.teardown(admin.close);
  const json: unknown = await (await fetch(`${admin.url}/api/v1/openapi.json`)).json();
  const api = document.parse(json);
  const endpoints = endpointsOf(api);
  t.strictSame(
    endpoints.map(({ method, path }) => `${method} ${path}`).toSorted(),
    INTERFACE.toSorted(),
  );
  const ids = endpoints.map(({ is }) => is.operationId);
  t.equal(new Set(ids).size, ids.length, "operation ids are unique");
  for (const { path, is } of endpoints) {
    const braces = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = is.parameters.filter((parameter) => parameter.in === "path");
    t.strictSame(
      declared.map(({ name }) => name),
      braces,
      `${path}: path parameters`,
    );
  }
  const references = JSON.stringify(json).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
  for (const [, name] of references) t.ok(name !== undefined && name in api.components.schemas);
});

void tap.test(
  "every endpoint answers with a status and a shape that the document names",
  async (t) => {
    const migration = fakeMigration("orders");
    await migration.switchTo("new", "route");
    const admin = await startAdmin(fakePorts(migration));
    t.teardown(admin.close);
    const api = document.parse(await (await fetch(`${admin.url}/api/v1/openapi.json`)).json());
    for (const endpoint of endpointsOf(api)) {
      const { method, path, is } = endpoint;
      const { status, sent, answer } = await ask(admin.url, endpoint);
      const declared = is.responses[String(status)];
      t.ok(declared, `${method} ${path} answers ${status}`);
      const [type = "", content] = Object.entries(declared?.content ?? {})[0] ?? [];
      t.ok(sent.startsWith(type), `${path}: ${sent}`);
      const name = /\w+$/.exec(content?.schema.$ref ?? "")?.[0];
      if (name === undefined || answer === undefined) continue;
      const parsed = SCHEMAS[name as keyof typeof SCHEMAS].safeParse(answer);
      t.ok(parsed.success, `${method} ${path} is a ${name}: ${parsed.error?.message ?? ""}`);
    }
  },
);

async function ask(
  url: string,
  { method, path }: Endpoint,
): Promise<{ status: number; sent: string; answer: unknown }> {
  const bodies: Readonly<Record<string, string>> = {
    "/route": '{"primary":"old"}',
    "/shadow": '{"sample":0.5}',
    "/rules": '{"divergence":"d1","ignore":true}',
  };
  const id = path.includes("attempts") ? "a1" : "d1";
  const body = Object.entries(bodies).find(([end]) => method === "POST" && path.endsWith(end))?.[1];
  const leave = new AbortController();
  const response = await fetch(
    url + path.replace("{name}", "orders").replace("{id}", id).replace("{rule}", "ignore d1"),
    {
      method,
      signal: leave.signal,
      ...(body === undefined ? {} : { body }),
    },
  );
  const sent = response.headers.get("content-type") ?? "";
  const answer: unknown = sent.includes("json") ? await response.json() : undefined;
  // Events would go on for ever.
  leave.abort();
  return { status: response.status, sent, answer };
}
