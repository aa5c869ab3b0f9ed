import { AdminQueryError } from "../../upstream/admin-client.ts";
import type { Ask } from "../read-shapes.ts";

/** SQLSTATE that ends a probe which went through. */
const UNDONE = "TW000";

/**
 * Tries statements for real, and takes them back: one DO block that always ends with an error, so that whatever it did is
 * undone by the server however the connection fares. Waits for no lock longer than two seconds.
 * @returns undefined when it went through, else what the server said
 */
export async function probe(
  ask: Ask,
  statements: readonly string[],
): Promise<{ readonly sqlstate: string; readonly message: string } | undefined> {
  const block = `DO $twinwire$ BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', '2000', true);
    ${statements.map((sql) => `EXECUTE $probe$${sql}$probe$;`).join("\n")}
    RAISE EXCEPTION 'twinwire doctor: this was a try, and is undone' USING ERRCODE = '${UNDONE}';
    END $twinwire$`;
  try {
    await ask(block);
  } catch (error) {
    if (!(error instanceof AdminQueryError)) throw error;
    return error.reported === UNDONE
      ? undefined
      : { sqlstate: error.reported, message: error.message };
  }
  throw new Error("a probe was not undone");
}
