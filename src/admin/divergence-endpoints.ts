import { problem } from "./endpoint.ts";
import type { Endpoint, Reply } from "./endpoint.ts";
import { BAD, forPage, found, get, GONE, json, NO_MIGRATION, ok } from "./migration-endpoint.ts";
import { PAGE, post, PROBLEM } from "./migration-endpoint.ts";
import type { DivergenceState, MigrationPort } from "./ports.ts";

const STATES: readonly (DivergenceState | "all")[] = [
  "confirmed",
  "unsettled",
  "ruled",
  "closed",
  "all",
];

/** The differences found, and what can be done about one. */
export function divergenceEndpoints(): Endpoint[] {
  return [
    {
      ...get("/divergences", "Divergences, the gravest first", [], () => GONE),
      replies: [ok("Divergences"), BAD, NO_MIGRATION],
      query: {
        ...PAGE,
        state: {
          description:
            "confirmed unless given; unsettled: asking again could not tell; ruled: a rule covers it; closed: said to be cured",
          schema: { enum: STATES },
        },
      },
      answer: forPage((migration, page, { query }) => {
        const { state: wanted = "confirmed" } = query;
        const state = STATES.find((word) => word === wanted);
        return state === undefined
          ? problem(400, "bad_query", `state: expected ${STATES.slice(0, -1).join(", ")} or all.`)
          : json(migration.divergences(page, state));
      }),
    },
    get("/divergences/{id}", "One divergence", [ok("Divergence")], (migration, call) =>
      found(migration.divergence(call.parameters["id"] ?? ""), "divergence"),
    ),
    post(
      "/divergences/{id}/recheck",
      "Ask both sides again",
      [ok("Recheck"), { status: 409, description: "It cannot be repeated, and why", ...PROBLEM }],
      (migration, call) => recheck(migration, call.parameters["id"] ?? ""),
    ),
    post(
      "/divergences/{id}/close",
      "Say that it was cured; seen again, it is open again",
      [ok("Divergence")],
      (migration, call) =>
        found(migration.closeDivergence(call.parameters["id"] ?? ""), "divergence"),
    ),
  ];
}

async function recheck(migration: MigrationPort, id: string): Promise<Reply> {
  const reply = await migration.recheck(id);
  switch (reply.kind) {
    case "done": {
      const { kind: _kind, ...outcome } = reply;
      return json(outcome);
    }
    case "impossible":
      return problem(409, "not_repeatable", reply.reason);
    case "not_found":
      return found(undefined, "divergence");
  }
}
