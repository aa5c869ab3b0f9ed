import { nearest } from "../config/nearest.ts";
import { problem } from "./endpoint.ts";
import type { Endpoint, Problem } from "./endpoint.ts";

/** A request's target, taken apart; nothing of it is trusted yet. */
export type Target = {
  /** Decoded segments of the path. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
};

export type Match = {
  readonly kind: "match";
  readonly endpoint: Endpoint;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
};

/** @returns the endpoint for a method and target, or the problem to answer with. */
export function route(
  endpoints: readonly Endpoint[],
  method: string,
  url: string,
): Match | Problem {
  const target = parseTarget(url);
  if (target === undefined) return problem(400, "bad_target", "The request target is not valid.");
  const fitting = endpoints.flatMap((endpoint) => {
    const parameters = parametersOf(endpoint.path, target.segments);
    return parameters === undefined ? [] : [{ endpoint, parameters }];
  });
  if (fitting.length === 0) return problem(404, "not_found", "There is nothing at this address.");
  // As RFC 9110 has it, HEAD is GET without the body.
  const wanted = method === "HEAD" ? "GET" : method;
  const found = fitting.find(({ endpoint }) => endpoint.method === wanted);
  if (found === undefined) return methodNotAllowed(fitting.map(({ endpoint }) => endpoint.method));
  const query = declaredQuery(found.endpoint, target.query);
  return "kind" in query ? query : { kind: "match", ...found, query: query.values };
}

function parseTarget(url: string): Target | undefined {
  if (!url.startsWith("/") || url.length > 4096) return undefined;
  const [path = "", ...rest] = url.split("?");
  try {
    const segments = path.slice(1).split("/").map(decodeURIComponent);
    return { segments, query: new URLSearchParams(rest.join("?")) };
  } catch {
    return undefined;
  }
}

function parametersOf(
  template: string,
  segments: readonly string[],
): Record<string, string> | undefined {
  const parts = template.slice(1).split("/");
  if (parts.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const segment = segments[index] ?? "";
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name === undefined && part !== segment) return undefined;
    if (name !== undefined) {
      if (segment === "") return undefined;
      parameters[name] = segment;
    }
  }
  return parameters;
}

function methodNotAllowed(methods: readonly string[]): Problem {
  const allow = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
  const list = allow.join(", ");
  return {
    ...problem(405, "method_not_allowed", `Only ${list} is understood here.`),
    headers: { allow: list },
  };
}

function declaredQuery(
  endpoint: Endpoint,
  query: URLSearchParams,
): { readonly values: Record<string, string> } | Problem {
  const declared = Object.keys(endpoint.query ?? {});
  const values: Record<string, string> = {};
  for (const [name, value] of query) {
    if (!declared.includes(name)) {
      const meant = nearest(name, declared);
      const hint = meant === undefined ? "" : ` Did you mean ${meant}?`;
      const list = declared.length === 0 ? "none" : declared.join(", ");
      const detail = `A query parameter is not known here (known: ${list}).${hint}`;
      return problem(400, "bad_query", detail);
    }
    if (name in values) return problem(400, "bad_query", `The parameter ${name} is given twice.`);
    values[name] = value;
  }
  return { values };
}
