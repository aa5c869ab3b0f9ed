/**
 * Promise 1, the application cannot tell: the same workload through real clients, straight to a server and through
 * Twinwire in front of it, has to read the same, down to source lines in errors.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { Client } from "./client.ts";
import { jdbc } from "./jdbc.ts";
import { nodePostgres } from "./node-postgres.ts";
import { porsager } from "./porsager.ts";
import { psql } from "./psql.ts";
import { psycopg } from "./psycopg.ts";
import { openRoutes } from "./routes.ts";

const CLIENTS: readonly Client[] = [
  psql, // libpq: simple queries, COPY, large objects through function calls
  psycopg, // libpq: extended protocol in text and binary, pipeline mode, binary COPY
  nodePostgres, // its own implementation: named statements, a portal read in pieces
  porsager, // its own implementation: pipelines everything, cursors suspended by a row limit
  jdbc, // its own implementation: batches, binary transfer, three query modes
];

const folder = mkdtempSync(join(tmpdir(), "twinwire-clients-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const { routes, log, stop } = await openRoutes();
t.teardown(stop);

// Asked before the first test: tap takes a pause between tests for the end.
const reasons = new Map(
  await Promise.all(CLIENTS.map(async (each) => [each, await each.missing()] as const)),
);

for (const client of CLIENTS) {
  const missing = reasons.get(client);
  for (const route of routes) {
    const name = `${client.name} cannot tell Twinwire from PostgreSQL ${route.name}`;
    await t.test(name, missing === undefined ? {} : { skip: missing }, async (test) => {
      const expected = await client.run(route.direct, folder);
      test.ok(expected.length > 1000, "the workload ran");
      const got = await client.run(route.throughTwinwire, folder);
      if (!test.equal(firstDifference(got, expected), "none")) test.comment(log().slice(-4000));
    });
  }
}

/** Where two transcripts part: a diff of everything after it would bury the reason. */
function firstDifference(got: string, expected: string): string {
  if (got === expected) return "none";
  const gotLines = got.split("\n");
  const expectedLines = expected.split("\n");
  const at = expectedLines.findIndex((line, index) => line !== gotLines[index]);
  const line = at === -1 ? expectedLines.length : at;
  const show = (lines: readonly string[]): string =>
    lines
      .slice(line, line + 3)
      .join("\n")
      .slice(0, 1500);
  return `line ${line + 1}, through Twinwire:\n${show(gotLines)}\nexpected:\n${show(expectedLines)}`;
}
