import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { AdminConfig } from "../config/config.ts";
import { isLoopback } from "../config/loopback.ts";
import { problem } from "./endpoint.ts";
import type { Problem } from "./endpoint.ts";

/**
 * Keeps web pages out. A page that a browser on this machine shows may send requests here, under
 * its own name (Origin) or, by DNS rebinding, under a name of its own that leads here (Host).
 * @returns the problem to answer with, or undefined to let the request in.
 */
export function pageProblem(
  config: AdminConfig,
  method: string,
  headers: IncomingHttpHeaders,
): Problem | undefined {
  const host = hostName(headers.host);
  if (isLoopback(config.host) && host !== undefined && !isLoopback(host) && host !== config.host) {
    return problem(403, "wrong_host", "The Host header names another machine than this one.");
  }
  if (method === "GET" || method === "HEAD") return undefined;
  const site = headers["sec-fetch-site"];
  const foreignSite = site !== undefined && site !== "same-origin" && site !== "none";
  if (foreignSite || !sameOrigin(headers)) {
    return problem(403, "wrong_origin", "The request comes from a web page of another origin.");
  }
  return undefined;
}

/** @returns undefined when no token is configured or the request carries it. */
export function tokenProblem(
  token: string | undefined,
  headers: IncomingHttpHeaders,
): Problem | undefined {
  if (token === undefined) return undefined;
  const given = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
  if (given !== undefined && sameText(given, token)) return undefined;
  const detail =
    given === undefined
      ? "A token is needed: send it as `Authorization: Bearer …`."
      : "The token is not the right one.";
  return {
    ...problem(401, "unauthorized", detail),
    headers: { "www-authenticate": 'Bearer realm="twinwire"' },
  };
}

/** Takes the same time whatever the texts have in common, their lengths included. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function sameOrigin(headers: IncomingHttpHeaders): boolean {
  if (headers.origin === undefined) return true;
  return /^https?:\/\/(.+)$/.exec(headers.origin)?.[1] === headers.host;
}

function hostName(host: string | undefined): string | undefined {
  return host?.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1");
}
