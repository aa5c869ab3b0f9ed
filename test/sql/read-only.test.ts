import pg from "pg";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { type Expected, SCHEMA } from "./expected.ts";
import { ORDERED_READS } from "./ordered-reads.ts";
import { READS } from "./reads.ts";
import { SESSION_STATEMENTS } from "./session-statements.ts";
import { CHANGES, WRITES } from "./writes.ts";

const READ_ONLY_TRANSACTION = "25006";

/** What a server must say inside BEGIN READ ONLY to a statement that is classified so. */
function expectation(row: Expected): "accepted" | "refused" | "not_run" {
  if (row.onServer !== undefined) return row.onServer;
  switch (row.kind ?? "read") {
    case "read":
    case "session":
    case "explain":
    case "copy_out":
      return "accepted";
    case "write":
    case "ddl":
    case "copy_in":
      return "refused";
    default:
      return "not_run";
  }
}

async function sqlstateOf(client: pg.Client, sql: string): Promise<string | undefined> {
  try {
    await client.query(sql);
    return undefined;
  } catch (error) {
    return error instanceof pg.DatabaseError ? error.code : String(error);
  }
}

for (const major of [14, 16, 18] as const) {
  void t.test(
    `PostgreSQL ${major} takes the reads in a read-only transaction and refuses the writes`,
    async (test) => {
      const server = await startPostgres({ major });
      test.teardown(() => server.stop());
      const client = new pg.Client({ connectionString: server.url() });
      await client.connect();
      test.teardown(() => client.end());
      await client.query(SCHEMA);
      for (const row of [
        ...READS,
        ...ORDERED_READS,
        ...WRITES,
        ...CHANGES,
        ...SESSION_STATEMENTS,
      ]) {
        const expected = expectation(row);
        if (expected === "not_run" || (row.since ?? 14) > major) continue;
        await client.query("BEGIN READ ONLY");
        const sqlstate = await sqlstateOf(client, row.sql);
        await client.query("ROLLBACK");
        test.equal(sqlstate, expected === "accepted" ? undefined : READ_ONLY_TRANSACTION, row.sql);
      }
    },
  );
}
