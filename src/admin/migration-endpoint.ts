import { z } from "zod";
import { problemsOf } from "../config/issues.ts";
import { pathText } from "../config/problem.ts";
import { problem } from "./endpoint.ts";
import type { Body, Call, Endpoint, QueryParameter, Reply, ReplyKind } from "./endpoint.ts";
import type { MigrationPort } from "./ports.ts";
import type { SchemaName } from "./schemas.ts";

/** Everything under one migration begins with this. */
const ROOT = "/api/v1/migrations/{name}";

export const PAGE: Readonly<Record<string, QueryParameter>> = {
  after: { description: "`next` of the page before", schema: { type: "string", maxLength: 256 } },
  limit: {
    description: "Items on a page, 100 unless given",
    schema: { type: "integer", minimum: 1, maximum: 1000 },
  },
};

export const PROBLEM: { contentType: string; schema: SchemaName } = {
  contentType: "application/problem+json",
  schema: "Problem",
};
export const GONE: Reply = problem(404, "not_found", "There is no such thing.");
export const BAD: ReplyKind = {
  status: 400,
  description: "What is wrong with the request",
  ...PROBLEM,
};
export const NO_MIGRATION: ReplyKind = {
  status: 404,
  description: "There is no such thing",
  ...PROBLEM,
};

export type Answer = (migration: MigrationPort, call: Call) => Reply | Promise<Reply>;

export function get(
  path: string,
  summary: string,
  replies: readonly ReplyKind[],
  answer: Answer,
): Endpoint {
  return endpoint("GET", path, summary, replies, answer);
}

export function post(
  path: string,
  summary: string,
  replies: readonly ReplyKind[],
  answer: Answer,
): Endpoint {
  return endpoint("POST", path, summary, replies, answer);
}

function endpoint(
  method: Endpoint["method"],
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

export function remove(
  path: string,
  summary: string,
  replies: readonly ReplyKind[],
  answer: Answer,
): Endpoint {
  return endpoint("DELETE", path, summary, replies, answer);
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

export function forPage(
  read: (
    migration: MigrationPort,
    page: { after: string | undefined; limit: number },
    call: Call,
  ) => Reply,
): Endpoint["answer"] {
  return withMigration((migration, call) => {
    const { after, limit = "100" } = call.query;
    const count = /^\d{1,4}$/.test(limit) ? Number(limit) : 0;
    if (count < 1 || count > 1000) {
      return problem(400, "bad_query", "limit: expected a whole number from 1 to 1000.");
    }
    if (after !== undefined && (after === "" || after.length > 256)) {
      return problem(400, "bad_query", "after: expected `next` of the page before.");
    }
    return read(migration, { after, limit: count }, call);
  });
}

export function bodyOf(schema: z.ZodType): Body {
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

export function found(item: object | undefined, what: string): Reply {
  return item === undefined ? problem(404, "not_found", `There is no such ${what}.`) : json(item);
}

export function json(body: object): Reply {
  return { kind: "json", status: 200, body };
}

export function ok(schema: SchemaName): ReplyKind {
  return { status: 200, description: "As asked for", schema };
}
