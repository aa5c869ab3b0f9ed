import { z } from "zod";
import { divergenceEndpoints } from "./divergence-endpoints.ts";
import { problem } from "./endpoint.ts";
import type { Call, Endpoint, Reply, ReplyKind } from "./endpoint.ts";
import {
  BAD,
  bodyOf,
  forPage,
  found,
  get,
  GONE,
  json,
  NO_MIGRATION,
  ok,
} from "./migration-endpoint.ts";
import { PAGE, post, PROBLEM } from "./migration-endpoint.ts";
import type { MigrationPort, VerbOutcome } from "./ports.ts";
import { replicationEndpoints } from "./replication-endpoints.ts";
import { verificationEndpoints } from "./verification-endpoints.ts";
import { ruleEndpoints } from "./rule-endpoints.ts";

/** Everything under one migration. */
export function migrationEndpoints(): Endpoint[] {
  return [
    ...reading(),
    ...acting(),
    ...divergenceEndpoints(),
    ...ruleEndpoints(),
    ...replicationEndpoints(),
    ...verificationEndpoints(),
    ...notYet(),
  ];
}

function reading(): Endpoint[] {
  return [
    get("", "Status: phase, route, coverage, verdicts", [ok("Status")], (migration) =>
      json(migration.status()),
    ),
    {
      ...get("/fingerprints", "Coverage, verdicts and latency by statement", [], () => GONE),
      replies: [ok("Fingerprints"), BAD, NO_MIGRATION],
      query: PAGE,
      answer: forPage((migration, page) =>
        json({ ...migration.fingerprints(page), totals: migration.totals() }),
      ),
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

/** Part of the interface, and of no use before a fence keeps writers off. */
function notYet(): Endpoint[] {
  const missing: readonly (readonly [path: string, summary: string])[] = [
    ["/rehearse", "Go through a cutover without the decision"],
    ["/finalize", "Remove everything Twinwire installed"],
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

function text(contentType: string, content: string): Extract<Reply, { kind: "text" }> {
  return { kind: "text", contentType, text: content };
}
