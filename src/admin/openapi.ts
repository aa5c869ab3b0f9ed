import { z } from "zod";
import type { Endpoint, ReplyKind } from "./endpoint.ts";
import { SCHEMAS } from "./schemas.ts";

/**
 * The OpenAPI 3.1 document of a table of endpoints.
 * @see https://spec.openapis.org/oas/v3.1.0
 */
export function openApi(endpoints: readonly Endpoint[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const endpoint of endpoints) {
    const item = (paths[endpoint.path] ??= {});
    item[endpoint.method.toLowerCase()] = operation(endpoint);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Twinwire admin API",
      version,
      description: "Times are ISO 8601 in UTC, durations milliseconds in fields that end in Ms.",
    },
    paths,
    components: {
      schemas: Object.fromEntries(
        Object.entries(SCHEMAS).map(([name, schema]) => [name, jsonSchema(schema as z.ZodType)]),
      ),
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(endpoint: Endpoint): object {
  const { body } = endpoint;
  return {
    summary: endpoint.summary,
    operationId: operationId(endpoint),
    security: endpoint.open === true ? [] : [{ token: [] }, {}],
    parameters: [
      ...[...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
      })),
      ...Object.entries(endpoint.query ?? {}).map(([name, parameter]) => ({
        name,
        in: "query",
        required: false,
        ...parameter,
      })),
    ],
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: body.required,
            content: { "application/json": { schema: withoutDialect(body.schema) } },
          },
        }),
    responses: Object.fromEntries(
      [...endpoint.replies, ...(endpoint.open === true ? [] : [UNAUTHORIZED])].map((reply) => [
        String(reply.status),
        { description: reply.description, ...contentOf(reply) },
      ]),
    ),
  };
}

const UNAUTHORIZED: ReplyKind = {
  status: 401,
  description: "A token is configured and was not sent",
  contentType: "application/problem+json",
  schema: "Problem",
};

function contentOf(reply: ReplyKind): object {
  const contentType = reply.contentType ?? "application/json";
  if (reply.schema === undefined && reply.contentType === undefined) return {};
  const schema = reply.schema === undefined ? {} : { $ref: `#/components/schemas/${reply.schema}` };
  return { content: { [contentType]: { schema } } };
}

/** `postMigrationsNameRoute`: unique, since method and path are. */
function operationId({ method, path }: Endpoint): string {
  const words = path.replace("/api/v1", "").match(/\w+/g) ?? ["page"];
  const capitals = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return method.toLowerCase() + capitals.join("");
}

function jsonSchema(schema: z.ZodType): object {
  // The input side of a shape, unlike its output side, does not rule out fields that are not named.
  return withoutDialect(z.toJSONSchema(schema, { io: "input" }));
}

/** OpenAPI 3.1 names the dialect once for the whole document. */
function withoutDialect(schema: object): object {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== "$schema"));
}
