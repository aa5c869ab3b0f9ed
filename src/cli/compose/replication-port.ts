import type { ReplicationItem, ReplicationOutcome } from "../../admin/ports.ts";
import type { Barrier } from "../../mirror/recheck/barrier.ts";
import type { Side } from "../../routing/side.ts";
import { formatPosition } from "../../wire/position.ts";
import type { Replicator } from "../replication/supervisor.ts";
import { REPLICATION_OFF } from "../../replication/replication-state.ts";

const UNMANAGED =
  "Someone else replicates (replication.managed: false). Set it to true and restart Twinwire to have it done here.";

const NEW_ANSWERS =
  "NEW answers the application, and replication fills NEW from OLD. Route back to old first.";

/** What can have NEW stand right after what a snapshot of OLD sees. */
export function barrierOf(replicator: Replicator | undefined): Barrier | undefined {
  if (replicator?.state.phase !== "streaming") return undefined;
  return {
    async hold(signal) {
      const held = await replicator.hold(signal);
      return (
        held && {
          goTo: ({ sees, position }, giveUp) => {
            const lsn = position;
            const text = lsn === undefined ? null : formatPosition({ kind: "lsn", lsn });
            return held.goTo(sees, text, giveUp);
          },
          release: held.release,
        }
      );
    },
  };
}

/** Replication in the shape of the public interface; undefined where someone else replicates. */
export function replicationItem(replicator: Replicator | undefined): ReplicationItem {
  if (replicator === undefined)
    return { managed: false, wanted: false, ...REPLICATION_OFF, detail: UNMANAGED };
  return { managed: true, wanted: replicator.wanted, ...replicator.state };
}

/** @param primary the side that answers: what is filled must not be what the application writes to */
export function startReplication(
  replicator: Replicator | undefined,
  primary: Side,
): ReplicationOutcome {
  if (replicator === undefined) return { kind: "conflict", message: UNMANAGED };
  if (primary === "new" && !replicator.wanted) return { kind: "conflict", message: NEW_ANSWERS };
  replicator.start();
  return { kind: "done", replication: replicationItem(replicator) };
}

export async function stopReplication(
  replicator: Replicator | undefined,
): Promise<ReplicationOutcome> {
  if (replicator === undefined) return { kind: "conflict", message: UNMANAGED };
  await replicator.stop();
  return { kind: "done", replication: replicationItem(replicator) };
}
