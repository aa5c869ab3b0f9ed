import { STATUS_CODES } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Problem, Reply } from "./endpoint.ts";

/** On everything: no guessing of types, no copies, no frames, no telling others where one came from. */
const ALWAYS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** Writes a whole answer. Events are begun here and written elsewhere. */
export function respond(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const { status, headers, body } = partsOf(reply);
  // What is left of a body that was not read must not be taken for the next request.
  const close = request.complete ? {} : { connection: "close" };
  response.writeHead(status, { ...ALWAYS, ...headers, ...close });
  if (body !== undefined || request.method === "HEAD") response.end(body);
  else response.flushHeaders();
}

/** The body of a problem, also for answers that are written to a bare socket. */
export function problemBody({ status, code, detail, extra }: Problem): string {
  const title = STATUS_CODES[status] ?? "Error";
  return JSON.stringify({ type: "about:blank", title, status, code, detail, ...extra });
}

type Parts = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  /** Undefined for a stream. */
  readonly body: string | undefined;
};

function partsOf(reply: Reply): Parts {
  switch (reply.kind) {
    case "json":
      return parts(
        reply.status,
        "application/json; charset=utf-8",
        JSON.stringify(reply.body),
        reply.location === undefined ? {} : { location: reply.location },
      );
    case "text": {
      const policy = reply.contentSecurityPolicy;
      return parts(
        200,
        reply.contentType,
        reply.text,
        policy === undefined ? {} : { "content-security-policy": policy },
      );
    }
    case "problem":
      return parts(reply.status, "application/problem+json", problemBody(reply), reply.headers);
    case "events":
      return { status: 200, headers: { "content-type": "text/event-stream" }, body: undefined };
  }
}

function parts(
  status: number,
  contentType: string,
  body: string,
  more: Readonly<Record<string, string>> = {},
): Parts {
  const length = Buffer.byteLength(body);
  return {
    status,
    headers: { "content-type": contentType, "content-length": length, ...more },
    body,
  };
}
