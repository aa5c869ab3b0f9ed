import { CodedError } from "../../base/errors.ts";
import type { WorkSession, WorkStatement } from "../../upstream/work-session.ts";
import { formatPosition, parseLsn } from "../../wire/position.ts";
import type { Lsn } from "../../wire/position.ts";

/** A row of `twinwire.progress`. */
export type Progress = {
  readonly position: Lsn;
  /** Who may move it; a greater one takes it over. */
  readonly epoch: bigint;
  readonly sequence: bigint;
  readonly phase: string;
  readonly markerEpoch: bigint;
};

export type ProgressKey = { readonly stream: string; readonly worker: number };

export const READ_PROGRESS = `
  SELECT pos, epoch, pos_seq, phase, marker_epoch FROM twinwire.progress
   WHERE stream = $1 AND worker = $2::int`;

const INIT_PROGRESS = `
  INSERT INTO twinwire.progress AS p (stream, worker, epoch, pos)
  VALUES ($1, $2::int, $3::bigint, $4)
  ON CONFLICT (stream, worker) DO UPDATE SET epoch = EXCLUDED.epoch,
    updated_at = pg_catalog.clock_timestamp() WHERE p.epoch <= EXCLUDED.epoch`;

/** The compare-and-set that every transaction which applies anything begins with; it changes one row, or none. */
export const MOVE_PROGRESS = `
  UPDATE twinwire.progress SET pos = $5, pos_seq = pos_seq + 1, updated_at = pg_catalog.clock_timestamp()
   WHERE stream = $1 AND worker = $2::int AND epoch = $3::bigint AND pos = $4`;

/** @returns undefined before `initProgress`. @throws WorkError */
export async function readProgress(
  session: WorkSession,
  { stream, worker }: ProgressKey,
): Promise<Progress | undefined> {
  const { rows } = await session.query({ sql: READ_PROGRESS, values: [stream, String(worker)] });
  const [row] = rows;
  if (row === undefined) return undefined;
  const [pos, epoch, sequence, phase, marker] = row;
  const position = parseLsn(pos ?? "");
  if (position === undefined)
    throw new CodedError("protocol_violation", "twinwire.progress holds no position");
  return {
    position,
    epoch: BigInt(epoch ?? 0),
    sequence: BigInt(sequence ?? 0),
    phase: phase ?? "",
    markerEpoch: BigInt(marker ?? 0),
  };
}

/**
 * Makes the row, at `position`, where there is none; otherwise takes it over: whoever had a smaller epoch cannot commit any
 * more. Waits for a transaction of theirs that is under way.
 * @returns the row as it is now, with the position to resume from
 * @throws CodedError conflict when it belongs to a greater epoch
 */
export async function initProgress(
  session: WorkSession,
  key: ProgressKey,
  { epoch, position }: { readonly epoch: bigint; readonly position: Lsn },
): Promise<Progress> {
  const values = [key.stream, String(key.worker), String(epoch), lsnText(position)];
  const { affected } = await session.query({ sql: INIT_PROGRESS, values });
  const progress = await readProgress(session, key);
  if (affected !== 1 || progress?.epoch !== epoch) throw lostOwnership(key.stream);
  return progress;
}

export function moveProgress(
  { stream, worker, epoch }: ProgressKey & { readonly epoch: bigint },
  from: Lsn,
  to: Lsn,
): WorkStatement {
  return {
    sql: MOVE_PROGRESS,
    name: "twinwire_progress",
    values: [stream, String(worker), String(epoch), lsnText(from), lsnText(to)],
  };
}

export function lostOwnership(stream: string): CodedError {
  return new CodedError(
    "conflict",
    `Another worker owns the stream ${stream}: its row in twinwire.progress is not as this one left it.`,
  );
}

export function lsnText(lsn: Lsn): string {
  return formatPosition({ kind: "lsn", lsn });
}
