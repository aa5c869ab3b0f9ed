import type { Endpoint, Reply, ReplyKind } from "./endpoint.ts";
import { problem } from "./endpoint.ts";
import { get, json, ok, post, PROBLEM } from "./migration-endpoint.ts";
import type { ReplicationOutcome } from "./ports.ts";

/** Twinwire's own replication: seen, started and stopped. */
export function replicationEndpoints(): Endpoint[] {
  return [
    get(
      "/replication",
      "Replication: phase, both streams, every table",
      [ok("Replication")],
      (migration) => json(migration.replication()),
    ),
    post("/replication/start", "Start replication", REPLIES, (migration) =>
      outcomeReply(migration.startReplication()),
    ),
    post(
      "/replication/stop",
      "Stop replication; what it has made stays, so that it can go on",
      REPLIES,
      async (migration) => outcomeReply(await migration.stopReplication()),
    ),
  ];
}

const REPLIES: readonly ReplyKind[] = [
  ok("Replication"),
  { status: 409, description: "Someone else replicates, or it does not fit now", ...PROBLEM },
];

function outcomeReply(outcome: ReplicationOutcome): Reply {
  return outcome.kind === "done"
    ? json(outcome.replication)
    : problem(409, "conflict", outcome.message);
}
