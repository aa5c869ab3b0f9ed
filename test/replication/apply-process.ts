/** A process that applies until it is killed: `node apply-process.js` with what it needs as JSON in the environment. */
import { randomBytes } from "node:crypto";
import process from "node:process";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { openApplier } from "../../src/replication/apply/applier.ts";
import { initProgress } from "../../src/replication/apply/progress.ts";
import { openRowWriter } from "../../src/replication/apply/write-rows.ts";
import { compileMapping } from "../../src/replication/mapping/compile-mapping.ts";
import type { StreamNames } from "../../src/replication/names.ts";
import { asking, readTableShapes } from "../../src/replication/read-shapes.ts";
import { openSourceStream } from "../../src/replication/source/source-stream.ts";
import { tableKey } from "../../src/replication/table-shape.ts";
import { openWorkSession } from "../../src/upstream/work-session.ts";
import type { AdminTarget } from "../../src/upstream/admin-client.ts";
import { lsn } from "./apply-pair.ts";

export type ApplyTask = {
  readonly source: AdminTarget;
  readonly target: AdminTarget;
  readonly names: StreamNames;
  readonly opposite: StreamNames;
  readonly tables: readonly string[];
  readonly begin: string;
  readonly folder: string;
};

const text = process.env["APPLY_TASK"];
if (text !== undefined) await run(JSON.parse(text) as ApplyTask);

async function run(task: ApplyTask): Promise<void> {
  const dial = { random: randomBytes };
  const options = { connectTimeoutMs: 20_000, applicationName: "apply process" };
  const session = await openWorkSession(task.target, options, dial);
  const there = await openWorkSession(task.source, options, dial);
  const names = task.tables.map((name) => ({ schema: "public", name }));
  const { tables } = compileMapping(
    { tables: [], schemas: [] },
    await readTableShapes(asking(there), names),
    await readTableShapes(asking(session), names),
  );
  const { position } = await initProgress(
    session,
    { stream: task.names.stream, worker: 0 },
    { epoch: 1n, position: lsn(task.begin) },
  );
  const stream = await openSourceStream(
    {
      target: task.source,
      names: task.names,
      opposite: task.opposite,
      from: position,
      originNone: false,
      spool: { folder: task.folder, memoryBytes: 1024 * 1024 },
      connectTimeoutMs: 20_000,
    },
    { ...dial, clock: systemClock, log: silentLogger },
  );
  const programs = new Map(tables.map((each) => [tableKey(each.source), each.forward]));
  const applier = await openApplier({
    stream,
    session,
    names: task.names,
    worker: 0,
    epoch: 1n,
    position,
    writeRows: openRowWriter(),
    programOf: (relation) => programs.get(tableKey(relation))?.bind(relation),
    router: undefined,
    fetchRow: () => Promise.resolve(undefined),
    onMessage: () => Promise.resolve(undefined),
    clock: systemClock,
  });
  await applier.run();
}
