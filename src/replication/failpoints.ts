import { readFileSync, unlinkSync } from "node:fs";
import process from "node:process";

/**
 * Moments at which a test kills the process that replicates: the whole list. `TWINWIRE_FAILPOINT=NAME` or `NAME:N`, for the
 * N-th time it is passed; or a file named by `TWINWIRE_FAILPOINT_FILE` says so, for the next process that begins and no other.
 * Without both passing one costs a comparison.
 */
export const FAILPOINTS = [
  "stream.transaction_received",
  "stream.transaction_spooled",
  "stream.before_acknowledge",
  "stream.after_acknowledge",
  "apply.after_begin",
  "apply.after_progress",
  "apply.in_rows",
  "apply.before_commit",
  "apply.after_commit",
  "snapshot.after_plan",
  "snapshot.in_chunk",
  "snapshot.before_chunk_commit",
  "snapshot.after_chunk_commit",
  "snapshot.before_deferred",
  "snapshot.table_done",
  "snapshot.before_streaming",
  "setup.after_schema",
  "setup.after_publication",
  "setup.after_slot",
  "setup.before_reverse",
] as const;

export type Failpoint = (typeof FAILPOINTS)[number];

function asked(): string {
  const { TWINWIRE_FAILPOINT: name, TWINWIRE_FAILPOINT_FILE: path } = process.env;
  if (name !== undefined || path === undefined) return name ?? "";
  try {
    const text = readFileSync(path, "utf8");
    unlinkSync(path);
    return text.trim();
  } catch {
    return ""; // somebody else has taken it, or nobody asks
  }
}

const [wanted, times = "1"] = asked().split(":");
let left = Number(times);

/** Ends the process as `kill -9` does, where a test asked for it. */
export function failpoint(name: Failpoint): void {
  if (name !== wanted || --left > 0) return;
  process.kill(process.pid, "SIGKILL");
}
