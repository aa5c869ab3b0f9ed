import { z } from "zod";
import { problemsOf } from "../config/issues.ts";
import { pathText } from "../config/problem.ts";
import { problem } from "./endpoint.ts";
import type { Body, Call, Endpoint, QueryParameter, Reply, ReplyKind } from "./endpoint.ts";
import type { MigrationPort, VerbOutcome } from "./ports.ts";
import type { SchemaName } from "./schemas.ts";

const ROOT = "/api/v1/migrations/{name}";

/** Everything under one migration. */
export function migrationEndpoints(): Endpoint[] {
  return [...reading(), ...acting(), ...notYet()];
}

function reading(): Endpoint[] {
  return [
    get("", "Status: phase, route, coverage, verdicts", [ok("Status")], (migration) =>
      json(migration.status()),
    ),
    {
      ...get(
        "/divergences",
        "Divergences, the gravest first",
        [ok("Divergences"), BAD],
        () => GONE,
      ),
      query: PAGE,
      answer: forPage((migration, page) => migration.divergences(page)),
    },
    get("/divergences/{id}", "One divergence", [ok("Divergence")], (migration, call) =>
      found(migration.divergence(call.parameters["id"] ?? ""), "divergence"),
    ),
    {
      ...get("/fingerprints", "Coverage, verdicts and latency by statement", [], () => GONE),
      replies: [ok("Fingerprints"), BAD, NO_MIGRATION],
      query: PAGE,
      answer: forPage((migration, page) => migration.fingerprints(page)),
    },
    get("/readiness", "The guards of a cutover", [ok("Readiness")], (migration) =>
      json(migration.readiness()),
    ),
    get("/attempts", "Attempts to move the traffic", [ok("Attempts")], (migration) =>
      json({ items: migration.attempts() }),
    ),
    get("/attempts/{id}", "One attempt with its timeline", [ok("Attempt")], (migration, call) =>
      found(migration.attempt(call.parameters["id"] ?? ""), "attempt"),
    ),
    get("/events", "What happens, as server-sent events", [EVENTS, FULL], (migration) => ({
      kind: "events",
      migration,
    })),
    {
      ...get("/report", "The report, to be kept or sent", [REPORT, BAD], report),
      query: {
        format: {
          description: "json unless given",
          schema: { enum: ["json", "md", "html"] },
        },
      },
    },
  ];
}

function acting(): Endpoint[] {
  return [
    {
      ...post("/route", "Move the traffic to a side", VERB_REPLIES, async (migration, call) => {
        const { primary } = call.body as z.output<typeof ROUTE>;
        return verbReply(migration, await migration.switchTo(primary, "route"));
      }),
      body: bodyOf(ROUTE),
    },
    {
      ...post(
        "/shadow",
        "Switch mirroring on or off, or change its share",
        [ok("Shadow"), BAD],
        (migration, call) => json(migration.setShadow(call.body as z.output<typeof SHADOW>)),
      ),
      body: bodyOf(SHADOW),
    },
    post("/cutover", "Move the traffic to NEW", VERB_REPLIES, async (migration) =>
      verbReply(migration, await migration.switchTo("new", "cutover")),
    ),
    post("/rollback", "Move the traffic back to OLD", VERB_REPLIES, async (migration) =>
      verbReply(migration, await migration.switchTo("old", "rollback")),
    ),
    post("/abort", "Give up the running attempt", VERB_REPLIES, async (migration) =>
      verbReply(migration, await migration.abort()),
    ),
  ];
}

/** Part of the interface, and of no use before Twinwire replicates by itself. */
function notYet(): Endpoint[] {
  const missing: readonly (readonly [path: string, summary: string])[] = [
    ["/replication/start", "Start replication"],
    ["/replication/stop", "Stop replication"],
    ["/verify", "Verify the data of both sides"],
    ["/rehearse", "Go through a cutover without the decision"],
    ["/finalize", "Remove everything Twinwire installed"],
    ["/divergences/{id}/recheck", "Recheck one divergence"],
  ];
  return missing.map(([path, summary]) =>
    post(path, summary, [{ status: 501, description: "Not in this version", ...PROBLEM }], () =>
      problem(501, "not_implemented", `This version cannot do this: ${summary.toLowerCase()}.`),
    ),
  );
}

const ROUTE = z.strictObject({
  primary: z.enum(["old", "new"], { error: "expected old or new" }),
});

const SHADOW = z
  .strictObject({
    enabled: z.boolean({ error: "expected true or false" }).optional(),
    sample: z
      .number({ error: "expected a share from 0 to 1" })
      .min(0, { error: "expected a share from 0 to 1" })
      .max(1, { error: "expected a share from 0 to 1" })
      .optional(),
  })
  .refine((change) => Object.keys(change).length > 0, {
    error: "Nothing to change: give enabled, sample or both",
  });

const PAGE: Readonly<Record<string, QueryParameter>> = {
  after: { description: "`next` of the page before", schema: { type: "string", maxLength: 256 } },
  limit: {
    description: "Items on a page, 100 unless given",
    schema: { type: "integer", minimum: 1, maximum: 1000 },
  },
};

const PROBLEM: { contentType: string; schema: SchemaName } = {
  contentType: "application/problem+json",
  schema: "Problem",
};
const GONE: Reply = problem(404, "not_found", "There is no such thing.");
const BAD: ReplyKind = { status: 400, description: "What is wrong with the request", ...PROBLEM };
const NO_MIGRATION: ReplyKind = { status: 404, description: "There is no such thing", ...PROBLEM };
const FULL: ReplyKind = { status: 503, description: "Too many streams are open", ...PROBLEM };
const EVENTS: ReplyKind = {
  status: 200,
  description: "Events until the client leaves",
  contentType: "text/event-stream",
  schema: "Event",
};
const REPORT: ReplyKind = { status: 200, description: "The report in the format asked for" };
const VERB_REPLIES: readonly ReplyKind[] = [
  { status: 202, description: "Begun; follow it at Location", schema: "Attempt" },
  BAD,
  { status: 409, description: "Refused by a guard, or in conflict", ...PROBLEM },
];

type Answer = (migration: MigrationPort, call: Call) => Reply | Promise<Reply>;

function get(
  path: string,
  summary: string,
  replies: readonly ReplyKind[],
  answer: Answer,
): Endpoint {
  return endpoint("GET", path, summary, replies, answer);
}

function post(
  path: string,
  summary: string,
  replies: readonly ReplyKind[],
  answer: Answer,
): Endpoint {
  return endpoint("POST", path, summary, replies, answer);
}

function endpoint(
  method: "GET" | "POST",
  path: string,
  summary: string,
  replies: readonly ReplyKind[],
  answer: Answer,
): Endpoint {
  return {
    method,
    path: ROOT + path,
    summary,
    replies: [...replies, NO_MIGRATION],
    answer: withMigration(answer),
  };
}

function withMigration(answer: Answer): Endpoint["answer"] {
  return (call) => {
    const name = call.parameters["name"];
    const migration = call.ports.migrations().find((candidate) => candidate.name === name);
    return migration === undefined
      ? problem(404, "not_found", "There is no migration of this name.")
      : answer(migration, call);
  };
}

function forPage(
  read: (migration: MigrationPort, page: { after: string | undefined; limit: number }) => object,
): Endpoint["answer"] {
  return withMigration((migration, { query }) => {
    const { after, limit = "100" } = query;
    const count = /^\d{1,4}$/.test(limit) ? Number(limit) : 0;
    if (count < 1 || count > 1000) {
      return problem(400, "bad_query", "limit: expected a whole number from 1 to 1000.");
    }
    if (after !== undefined && (after === "" || after.length > 256)) {
      return problem(400, "bad_query", "after: expected `next` of the page before.");
    }
    return json(read(migration, { after, limit: count }));
  });
}

function report(migration: MigrationPort, { query }: Call): Reply {
  const { format = "json" } = query;
  switch (format) {
    case "json":
      return text("application/json; charset=utf-8", migration.report("json"));
    case "md":
      return text("text/markdown; charset=utf-8", migration.report("md"));
    case "html":
      return {
        ...text("text/html; charset=utf-8", migration.report("html")),
        contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; sandbox",
      };
    default:
      return problem(400, "bad_query", "format: expected json, md or html.");
  }
}

function verbReply(migration: MigrationPort, outcome: VerbOutcome): Reply {
  switch (outcome.kind) {
    case "accepted": {
      const id = encodeURIComponent(outcome.attempt.id);
      const location = `/api/v1/migrations/${migration.name}/attempts/${id}`;
      return { kind: "json", status: 202, body: outcome.attempt, location };
    }
    case "refused": {
      const failed = outcome.guards.filter((guard) => !guard.ok).map((guard) => guard.name);
      const detail = `Refused by a guard: ${failed.join(", ")}.`;
      return problem(409, "refused_by_guard", detail, { guards: outcome.guards });
    }
    case "conflict":
      return problem(409, "conflict", outcome.message);
  }
}

function bodyOf(schema: z.ZodType): Body {
  const jsonSchema = z.toJSONSchema(schema, { io: "input" });
  return {
    schema: jsonSchema,
    required: true,
    parse: (value) => {
      const parsed = schema.safeParse(value);
      if (parsed.success) return { kind: "read", value: parsed.data };
      const details = problemsOf(parsed.error, jsonSchema, value).map(({ path, message }) =>
        path.length === 0 ? message : `${pathText(path)}: ${message}`,
      );
      return { kind: "wrong", detail: `${details.join("; ")}.` };
    },
  };
}

function found(item: object | undefined, what: string): Reply {
  return item === undefined ? problem(404, "not_found", `There is no such ${what}.`) : json(item);
}

function json(body: object): Reply {
  return { kind: "json", status: 200, body };
}

function text(contentType: string, content: string): Extract<Reply, { kind: "text" }> {
  return { kind: "text", contentType, text: content };
}

function ok(schema: SchemaName): ReplyKind {
  return { status: 200, description: "As asked for", schema };
}
