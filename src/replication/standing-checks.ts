import type { WorkSession } from "../upstream/work-session.ts";
import { countMisfits } from "./mapping/count-misfits.ts";
import type { MappingInput } from "./mapping/mapping-input.ts";
import type { TableMapping } from "./mapping/row-program.ts";
import { asking } from "./read-shapes.ts";
import type { ReplicationView } from "./replication-view.ts";
import { validateSchema } from "./schema/validate-schema.ts";
import { syncSequences } from "./sequences/sync-sequences.ts";
import type { TaskGroup } from "./task-group.ts";
import type { WorkSessions } from "./work-sessions.ts";

export type StandingChecksDeps = {
  readonly sessions: WorkSessions;
  readonly group: TaskGroup;
  readonly view: ReplicationView;
  readonly input: MappingInput;
  /** The application's own. */
  readonly tables: readonly TableMapping[];
  /** Values that NEW's sequences leave out. */
  readonly headroom: number;
};

const SEQUENCES_MS = 30_000;
const MISFITS_MS = 60_000;

/**
 * What is looked at again and again while both streams run: NEW's sequences, which are kept ahead of OLD's; its schema; and
 * rows of NEW that OLD could not hold. What is found stops nothing: it is shown until somebody has cured it.
 */
export async function startStandingChecks(deps: StandingChecksDeps): Promise<void> {
  const { sessions, group, view, input, tables, headroom } = deps;
  const [old, fresh] = [await sessions.open("old"), await sessions.open("new")];
  const encoding = await encodingOf(old);
  const mapping = { direction: "forward", input, tables } as const;
  group.every(SEQUENCES_MS, async () => {
    const options = { headroom, final: false };
    const { problems, warnings } = await syncSequences(old, fresh, mapping, options);
    view.sequences = [...problems, ...warnings].map(({ message, cure }) => `${message}; ${cure}`);
    view.missingInSchema = await validateSchema(asking(old), asking(fresh), tables);
  });
  // Counting reads whole tables, so it has a session to itself.
  const counting = await sessions.open("new");
  const noInverse = view.noWayBack;
  group.every(MISFITS_MS, async () => {
    const { misfits } = await countMisfits(counting, tables, encoding);
    view.noWayBack = [...noInverse, ...misfits.map(({ sentence }) => sentence)];
  });
}

async function encodingOf(session: WorkSession): Promise<string> {
  const { rows } = await session.query({ sql: "SHOW server_encoding" });
  return rows[0]?.[0] ?? "";
}
