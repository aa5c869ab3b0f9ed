import { CodedError } from "../../base/errors.ts";
import type { WorkSession } from "../../upstream/work-session.ts";
import { failpoint } from "../failpoints.ts";
import { asking } from "../read-shapes.ts";
import { tableKey } from "../table-shape.ts";
import { checkTouched, planStatements, touchStatement } from "./chunk-table.ts";
import type { ChunkRange, CopyOwner } from "./chunk-table.ts";
import type { CopiedTable } from "./copied-table.ts";
import type { CopyDeps } from "./copy-deps.ts";
import type { CopySessions } from "./copy-sessions.ts";
import { emptySql, holdsRowsSql } from "./copy-sql.ts";
import { planRanges } from "./plan.ts";

type Preparing = {
  readonly deps: CopyDeps;
  readonly owner: CopyOwner;
  readonly sessions: CopySessions;
};

/**
 * Plans a table of which nothing has been copied, and makes the plan durable; where one is, it stays.
 * @throws CodedError `refused_by_guard` when the target holds rows already
 */
export async function planTable(
  { deps, owner, sessions }: Preparing,
  table: CopiedTable,
): Promise<void> {
  const source = await sessions.source();
  const target = await sessions.target();
  const { rows } = await target.query({ sql: holdsRowsSql(table.program) });
  if (rows[0]?.[0] !== "f") {
    const name = tableKey(table.program.target);
    const what = `table ${name} of the target holds rows that were not copied from here`;
    throw new CodedError("refused_by_guard", `${what}: empty it, or leave it out of the migration`);
  }
  const ranges = await planRanges(asking(source), table.program, deps.chunkBytes);
  await writePlan(target, owner, table, ranges);
  table.planned(ranges);
  failpoint("snapshot.after_plan");
}

/**
 * Takes back everything that was copied of a table, and has it copied once more, from one snapshot: what made that necessary
 * cannot happen again. While nothing is applied, because what was applied goes as well.
 */
export async function startTableAnew(
  { deps, owner, sessions }: Preparing,
  table: CopiedTable,
): Promise<void> {
  deps.logger.warn({ table: table.name }, "a table is copied anew, from one snapshot");
  const target = await sessions.target();
  const ranges = [{ lo: null, hi: null }];
  await deps.applier.between(async () => {
    await writePlan(target, owner, table, ranges, emptySql(table.program));
    table.planned(ranges);
  });
}

async function writePlan(
  target: WorkSession,
  owner: CopyOwner,
  table: CopiedTable,
  ranges: readonly ChunkRange[],
  first?: string,
): Promise<void> {
  const [, touched] = await target.pipeline([{ sql: "BEGIN" }, touchStatement(owner)]);
  checkTouched(touched);
  if (first !== undefined) await target.execute(first);
  await target.pipeline([...planStatements(owner.stream, table.name, ranges), { sql: "COMMIT" }]);
}
