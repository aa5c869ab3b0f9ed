import { z } from "zod";
import type { Endpoint } from "./endpoint.ts";
import { problem } from "./endpoint.ts";
import { BAD, bodyOf, get, json, ok, post, PROBLEM } from "./migration-endpoint.ts";

/** Whether both sides hold the same rows: asked for, and what is known. */
export function verificationEndpoints(): Endpoint[] {
  return [
    get("/verify", "What is known of the rows of both sides", [ok("Verification")], (migration) =>
      json(migration.verification()),
    ),
    {
      ...post(
        "/verify",
        "Verify the rows of both sides, of some tables or of all",
        [
          ok("Verification"),
          BAD,
          { status: 409, description: "Replication is not in step now", ...PROBLEM },
        ],
        (migration, call) => {
          const { tables = [], repair = false } = call.body as z.output<typeof VERIFY>;
          const outcome = migration.verify({ tables, repair });
          return outcome.kind === "done"
            ? json(outcome.verification)
            : problem(409, "conflict", outcome.message);
        },
      ),
      body: bodyOf(VERIFY),
    },
  ];
}

const NAMES = "expected names of tables of OLD, such as public.orders";

const VERIFY = z.strictObject({
  tables: z.array(z.string({ error: NAMES }), { error: NAMES }).optional(),
  repair: z.boolean({ error: "expected true or false" }).optional(),
});
