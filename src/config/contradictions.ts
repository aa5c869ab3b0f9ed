import { isLoopback } from "./loopback.ts";
import type { Path, Problem } from "./problem.ts";
import { parseHostPort } from "./quantity.ts";
import type { HostPort } from "./quantity.ts";
import { valueAt } from "./issues.ts";

/**
 * What is wrong between entries that may each be right. Works on the raw document, so that it is
 * named together with everything else, not after the rest was mended.
 */
export function contradictions(raw: unknown): Problem[] {
  return [
    ...sameNames(raw),
    ...sameAddresses(raw),
    ...sameUsers(raw),
    ...ruleContradictions(raw),
    ...sameDatabases(raw),
    ...replicationContradictions(raw),
    ...openAdmin(raw),
  ];
}

/** What is allowed and yet most likely not meant. */
export function warnings(raw: unknown): Problem[] {
  return each(raw, ["migrations"]).flatMap((path) => {
    const found: Problem[] = [];
    const address = addressAt(raw, [...path, "listen", "address"]);
    const trust = valueAt(raw, [...path, "auth", "trust"]);
    if (
      (trust === true || trust === "true") &&
      address !== undefined &&
      !isLoopback(address.host)
    ) {
      found.push(
        problem(
          [...path, "auth", "trust"],
          "anyone who reaches the listener is let in as any user",
        ),
      );
    }
    found.push(...idleReplication(raw, path));
    return found;
  });
}

/** What only replication of Twinwire's own would heed. */
function idleReplication(raw: unknown, path: Path): Problem[] {
  const message = "has no effect while someone else replicates (replication.managed: false)";
  const section = valueAt(raw, [...path, "replication"]);
  const keys = typeof section === "object" && section !== null ? Object.keys(section) : [];
  const entries = [
    ...keys.filter((key) => key !== "managed").map((key) => ["replication", key]),
    ["cutover", "max_lag"],
  ];
  return isManaged(raw, path)
    ? []
    : entries
        .filter((entry) => valueAt(raw, [...path, ...entry]) !== undefined)
        .map((entry) => ({ ...problem([...path, ...entry], message), at: "key" as const }));
}

function isManaged(raw: unknown, path: Path): boolean {
  const managed = valueAt(raw, [...path, "replication", "managed"]);
  return managed === true || managed === "true";
}

function replicationContradictions(raw: unknown): Problem[] {
  return each(raw, ["migrations"]).flatMap((path) => {
    const entries = each(raw, [...path, "replication", "mapping"]);
    const to = entries
      .filter((entry) => valueAt(raw, [...entry, "table"]) !== undefined)
      .map((entry) => [...entry, "to"]);
    const found = [
      ...repeated(raw, under(entries, "table"), "another entry maps this table"),
      ...repeated(raw, under(entries, "schema"), "another entry maps this schema"),
      ...repeated(raw, to, "another table becomes this one"),
    ];
    if (isManaged(raw, path)) found.push(...managedContradictions(raw, path));
    return found;
  });
}

function managedContradictions(raw: unknown, path: Path): Problem[] {
  const found = ["old", "new"]
    .filter((side) => valueAt(raw, [...path, side, "url"]) !== undefined)
    .filter((side) => valueAt(raw, [...path, side, "admin"]) === undefined)
    .map((side) =>
      problem([...path, side], "replication needs the role that administers it: set admin"),
    );
  if (valueAt(raw, [...path, "shadow", "writes"]) !== "apply") return found;
  const message = "would write twice: replication (managed: true) brings every write to NEW";
  return [...found, problem([...path, "shadow", "writes"], message)];
}

function under(entries: readonly Path[], key: string): Path[] {
  return entries.map((entry) => [...entry, key]);
}

function sameNames(raw: unknown): Problem[] {
  const names = each(raw, ["migrations"]).map((path) => [...path, "name"]);
  return repeated(raw, names, "another migration has this name");
}

function sameUsers(raw: unknown): Problem[] {
  return each(raw, ["migrations"]).flatMap((path) => {
    const names = each(raw, [...path, "users"]).map((entry) => [...entry, "name"]);
    return repeated(raw, names, "another user of this migration has this name");
  });
}

function sameDatabases(raw: unknown): Problem[] {
  return each(raw, ["migrations"]).flatMap((path) => {
    const oldUrl = valueAt(raw, [...path, "old", "url"]);
    const same = typeof oldUrl === "string" && oldUrl === valueAt(raw, [...path, "new", "url"]);
    return same ? [problem([...path, "new", "url"], "is the same database as old.url")] : [];
  });
}

/** Port 0 is another port every time, so it never collides. A wildcard takes the port on every address. */
function sameAddresses(raw: unknown): Problem[] {
  const listeners = each(raw, ["migrations"]).map((path) => [...path, "listen", "address"]);
  const all = [...listeners, ["admin", "address"]].map((path) => ({
    path,
    address: addressAt(raw, path),
  }));
  return all.flatMap(({ path, address }, index) => {
    const earlier = all
      .slice(0, index)
      .find(
        (other) =>
          other.address !== undefined && address !== undefined && overlap(other.address, address),
      );
    if (earlier === undefined) return [];
    const who = path[0] === "admin" ? "a migration" : "another migration";
    return [problem(path, `${who} listens on this address`)];
  });
}

function overlap(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const wildcards = ["0.0.0.0", "::"];
  return a.host === b.host || wildcards.includes(a.host) || wildcards.includes(b.host);
}

/** Two rules of one name could not be told apart in a report; two for one match undo each other. */
function ruleContradictions(raw: unknown): Problem[] {
  return each(raw, ["migrations"]).flatMap((path) => {
    const rules = each(raw, [...path, "compare", "rules"]);
    const named = repeated(
      raw,
      rules.map((rule) => [...rule, "name"]),
      "another rule of this migration has this name",
    );
    const ignored = rules.filter((rule) => valueAt(raw, [...rule, "ignore"]) === true);
    const idle = rules.filter(
      (rule) =>
        !ignored.includes(rule) &&
        ignored.some((other) => matchText(raw, other) === matchText(raw, rule)),
    );
    return [
      ...named,
      ...idle.map((rule) => problem(rule, "can do nothing: another rule ignores the same match")),
    ];
  });
}

function matchText(raw: unknown, rule: Path): string {
  const match = valueAt(raw, [...rule, "match"]);
  const entries = typeof match === "object" && match !== null ? Object.entries(match) : [];
  return JSON.stringify(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function openAdmin(raw: unknown): Problem[] {
  const path = ["admin", "address"];
  const address = addressAt(raw, path);
  if (address === undefined || isLoopback(address.host)) return [];
  if (valueAt(raw, ["admin", "token"]) !== undefined) return [];
  return [problem(path, "beyond loopback the admin API needs a token: set admin.token")];
}

function addressAt(raw: unknown, path: Path): HostPort | undefined {
  const value = valueAt(raw, path);
  return typeof value === "string" ? parseHostPort(value) : undefined;
}

/** The paths of the entries of the list at `path`. */
function each(raw: unknown, path: Path): Path[] {
  const list = valueAt(raw, path);
  return Array.isArray(list) ? list.map((_entry, index) => [...path, index]) : [];
}

function repeated(raw: unknown, paths: readonly Path[], message: string): Problem[] {
  const seen = new Set<unknown>();
  return paths.flatMap((path) => {
    const value = valueAt(raw, path);
    if (typeof value === "string" && seen.has(value)) return [problem(path, message)];
    seen.add(value);
    return [];
  });
}

function problem(path: Path, message: string): Problem {
  return { path, at: "value", message };
}
