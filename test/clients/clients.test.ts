/**
 * Promise 1, the application cannot tell: the same workload through real clients, straight to a server and through
 * Twinwire in front of it, has to read the same, down to source lines in errors.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import t from "tap";
import type { Client } from "./client.ts";
import { jdbc } from "./jdbc.ts";
import { nodePostgres } from "./node-postgres.ts";
import { porsager } from "./porsager.ts";
import { psql } from "./psql.ts";
import { psycopg } from "./psycopg.ts";
import { openRoutes } from "./routes.ts";

const CLIENTS: readonly Client[] = [
  nodePostgres, // its own implementation: named statements, a portal read in pieces
  porsager, // its own implementation: pipelines everything, cursors suspended by a row limit
  psycopg, // libpq: extended protocol in text and binary, pipeline mode, binary COPY
  jdbc, // its own implementation: batches, binary transfer, three query modes
  psql, // libpq: simple queries, COPY, large objects through function calls, Ctrl-C
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

/** Promise 3, no false alarm: two servers of one version that were told the same have no difference to report. */
await t.test(
  "nothing of all this is reported as a divergence between two servers of one version",
  async (test) => {
    const [same] = routes;
    const { items } = await settledDivergences(same?.api ?? "");
    for (const { reason, statement, explanation } of items)
      test.fail(`${reason}: ${statement}: ${explanation}`);
  },
);

type Divergences = {
  readonly items: readonly {
    readonly reason: string;
    readonly statement: string;
    readonly explanation: string;
  }[];
};

/** The shadow follows behind: asks until the numbers have stood still for a while. */
async function settledDivergences(api: string): Promise<Divergences> {
  const get = async (path: string): Promise<unknown> => (await fetch(`${api}${path}`)).json();
  const deadline = Date.now() + 15_000;
  for (let before = "", same = 0; same < 5 && Date.now() < deadline;) {
    const { exchanges, verdicts } = (await get("")) as Record<string, unknown>;
    const now = JSON.stringify({ exchanges, verdicts });
    same = now === before ? same + 1 : 0;
    before = now;
    await delay(100);
  }
  return (await get("/divergences")) as Divergences;
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
