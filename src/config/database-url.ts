import type { z } from "zod";
import type { DatabaseUrl, TlsOptions } from "./config.ts";
import { expectedOneOf, ok, textLeaf, wrong } from "./leaf.ts";
import type { Parsed } from "./leaf.ts";
import { nearest } from "./nearest.ts";
import { readPem } from "./pem.ts";
import type { FileTexts } from "./pem.ts";

const MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
const BINDINGS = ["disable", "prefer", "require"] as const;
const PARAMETERS = ["sslmode", "sslrootcert", "sslcert", "sslkey", "channel_binding"] as const;

type Parameters = ReadonlyMap<string, string>;

/**
 * A connection URL in libpq's form, `postgres://user:password@host:port/database?sslmode=…`, with
 * its certificate files read. No message repeats any part of it: a password could be anywhere.
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function databaseUrl(files: FileTexts): z.ZodType<DatabaseUrl> {
  const shape = { pattern: String.raw`^postgres(ql)?://|\$\{[^}]+\}` };
  return textLeaf(shape, (text) => parseDatabaseUrl(text, files));
}

/** The files that the parameters of a URL name, right or wrong; none of what is not a URL. */
export function filesOfUrl(text: string): string[] {
  const parameters = decodeParameters(text.split("?").slice(1).join("?"));
  if (parameters.kind === "wrong") return [];
  return (["sslrootcert", "sslcert", "sslkey"] as const)
    .map((name) => parameters.value.get(name))
    .filter((name) => name !== undefined && name !== "system") as string[];
}

function parseDatabaseUrl(text: string, files: FileTexts): Parsed<DatabaseUrl> {
  const server = parseServer(text);
  if (server.kind === "wrong") return server;
  const parameters = decodeParameters(server.value.query);
  if (parameters.kind === "wrong") return parameters;
  const tls = tlsOptions(parameters.value, files);
  if (tls.kind === "wrong") return tls;
  const { host, port, user, password, database } = server.value;
  return ok({ host, port, user, password, database, tls: tls.value });
}

type Server = Omit<DatabaseUrl, "tls"> & { readonly query: string };

const URL_PARTS =
  /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?(\[[^\]/?]*\]|[^:/?[\]]*)(?::([^/?]*))?(?:\/([^?]*))?(?:\?(.*))?$/s;

function parseServer(text: string): Parsed<Server> {
  const parts = URL_PARTS.exec(text);
  if (parts === null) return wrong("expected postgres://user@host:port/database");
  const [, userinfo = "", bracketed = "", portText = "", path = "", query = ""] = parts;
  const [user, password, host, databaseName] = [
    ...splitUserinfo(userinfo),
    bracketed.replace(/^\[(.*)\]$/, "$1"),
    path,
  ].map(decode);
  if (
    user === undefined ||
    password === undefined ||
    host === undefined ||
    databaseName === undefined
  ) {
    return wrong("holds a % that is no percent-encoding: write %25 for the character itself");
  }
  // As in libpq, a database that is not named has the user's name, and an empty password is none.
  const database = databaseName || user;
  const port = portOf(portText || "5432");
  const complaint = complaintAbout(user, host, port, database);
  return complaint === undefined
    ? ok({ host, port: port ?? 0, user, password: password || undefined, database, query })
    : wrong(complaint);
}

function complaintAbout(
  user: string,
  host: string,
  port: number | undefined,
  database: string,
): string | undefined {
  const encode = "a / or ? in a password must be percent-encoded";
  if (user === "") return `names no user: write postgres://user@host:port/database (${encode})`;
  if (host === "") return "names no host: write postgres://user@host:port/database";
  if (host.includes(",")) return "names several hosts: only one is supported";
  if (host.startsWith("/")) return "names a Unix socket: only TCP is supported";
  if (port === undefined) return `the port is not a number from 1 to 65535 (${encode})`;
  if (database.includes("/")) return `the database name holds a / (${encode})`;
  return undefined;
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function splitUserinfo(userinfo: string): [user: string, password: string] {
  const colon = userinfo.indexOf(":");
  if (colon === -1) return [userinfo, ""];
  return [userinfo.slice(0, colon), userinfo.slice(colon + 1)];
}

/** @returns undefined when a `%` is not followed by two hexadecimal digits, or the bytes are no UTF-8. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function decodeParameters(query: string): Parsed<Parameters> {
  const parameters = new Map<string, string>();
  for (const pair of query.split("&").filter((part) => part !== "")) {
    const [rawName = "", ...rest] = pair.split("=");
    const name = decode(rawName);
    const value = decode(rest.join("="));
    if (name === undefined || value === undefined) {
      return wrong("a parameter holds a % that is no percent-encoding");
    }
    if (!(PARAMETERS as readonly string[]).includes(name)) return wrong(unknownParameter(name));
    if (parameters.has(name)) return wrong(`the parameter ${name} is given twice`);
    if (value === "") return wrong(`the parameter ${name} is empty`);
    parameters.set(name, value);
  }
  return ok(parameters);
}

function unknownParameter(name: string): string {
  const meant = nearest(name, PARAMETERS);
  // The name is repeated only where it is close to one of ours: else it could be a piece of a password.
  return meant === undefined
    ? `holds a parameter that is not supported: those supported are ${PARAMETERS.join(", ")}`
    : `unknown parameter ${name}: did you mean ${meant}?`;
}

function tlsOptions(parameters: Parameters, files: FileTexts): Parsed<TlsOptions> {
  const modeText = parameters.get("sslmode") ?? "prefer";
  const mode = MODES.find((candidate) => candidate === modeText);
  if (mode === undefined) return wrong(`sslmode: ${expectedOneOf(modeText, MODES)}`);
  const bindingText = parameters.get("channel_binding") ?? "prefer";
  const channelBinding = BINDINGS.find((candidate) => candidate === bindingText);
  if (channelBinding === undefined) {
    return wrong(`channel_binding: ${expectedOneOf(bindingText, BINDINGS)}`);
  }
  const complaint = tlsComplaint(parameters, mode, channelBinding);
  if (complaint !== undefined) return wrong(complaint);
  const root = parameters.get("sslrootcert");
  const rootCert = root === "system" ? ok(undefined) : pemOf("sslrootcert", parameters, files);
  if (rootCert.kind === "wrong") return rootCert;
  const cert = pemOf("sslcert", parameters, files);
  if (cert.kind === "wrong") return cert;
  const key = pemOf("sslkey", parameters, files);
  if (key.kind === "wrong") return key;
  return ok({ mode, rootCert: rootCert.value, cert: cert.value, key: key.value, channelBinding });
}

function tlsComplaint(
  parameters: Parameters,
  mode: TlsOptions["mode"],
  channelBinding: TlsOptions["channelBinding"],
): string | undefined {
  const root = parameters.get("sslrootcert");
  if (mode.startsWith("verify-") && root === undefined) {
    return `sslmode=${mode} needs sslrootcert: a file, or system for the authorities that are trusted anyway`;
  }
  if (root === "system" && mode !== "verify-full") {
    return "sslrootcert=system needs sslmode=verify-full";
  }
  if (parameters.has("sslcert") !== parameters.has("sslkey")) {
    return "sslcert and sslkey belong together: give both or neither";
  }
  if (mode === "disable" && channelBinding === "require") {
    return "channel_binding=require needs TLS, which sslmode=disable forbids";
  }
  return undefined;
}

function pemOf(
  name: "sslrootcert" | "sslcert" | "sslkey",
  parameters: Parameters,
  files: FileTexts,
): Parsed<string | undefined> {
  const file = parameters.get(name);
  if (file === undefined) return ok(undefined);
  const pem = readPem(file, name === "sslkey" ? "key" : "certificate", files);
  return pem.kind === "wrong" ? wrong(`${name}: ${pem.message}`) : pem;
}
