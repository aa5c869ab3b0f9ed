import type { AdminPorts, MigrationPort } from "./ports.ts";
import type { SchemaName } from "./schemas.ts";

/** A request that was let in, matched and read. */
export type Call = {
  readonly ports: AdminPorts;
  /** The parts of the path that stand in braces in the endpoint's, decoded. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Query parameters that the endpoint declares, as they came. */
  readonly query: Readonly<Record<string, string>>;
  /** What the endpoint's `body.parse` made of the body; undefined without one. */
  readonly body: unknown;
};

export type Reply =
  | {
      readonly kind: "json";
      readonly status: number;
      readonly body: object;
      readonly location?: string;
    }
  | {
      readonly kind: "text";
      readonly contentType: string;
      readonly text: string;
      readonly contentSecurityPolicy?: string;
    }
  /** Server-sent events until the client leaves. */
  | { readonly kind: "events"; readonly migration: MigrationPort }
  | Problem;

/** What went wrong, answered as `application/problem+json` (RFC 9457). */
export type Problem = {
  readonly kind: "problem";
  readonly status: number;
  /** A word for programs. */
  readonly code: string;
  /** A sentence for people. */
  readonly detail: string;
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
};

/** One entry of the table that drives the router and the OpenAPI document alike. */
export type Endpoint = {
  readonly method: "GET" | "POST" | "DELETE";
  /** Parameters in braces: `/api/v1/migrations/{name}`. */
  readonly path: string;
  readonly summary: string;
  /** Answered without a token. */
  readonly open?: true;
  readonly query?: Readonly<Record<string, QueryParameter>>;
  readonly body?: Body;
  readonly replies: readonly ReplyKind[];
  readonly answer: (call: Call) => Reply | Promise<Reply>;
};

export type QueryParameter = { readonly description: string; readonly schema: object };

export type Body = {
  /** JSON Schema for the document. */
  readonly schema: object;
  readonly required: boolean;
  readonly parse: (value: unknown) => BodyOutcome;
};

export type BodyOutcome =
  | { readonly kind: "read"; readonly value: unknown }
  | { readonly kind: "wrong"; readonly detail: string };

export type ReplyKind = {
  readonly status: number;
  readonly description: string;
  readonly contentType?: string;
  readonly schema?: SchemaName;
};

export function problem(
  status: number,
  code: string,
  detail: string,
  extra: Readonly<Record<string, unknown>> = {},
): Problem {
  return { kind: "problem", status, code, detail, extra };
}
