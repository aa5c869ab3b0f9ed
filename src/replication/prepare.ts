import { CodedError } from "../base/errors.ts";
import type { WorkSession } from "../upstream/work-session.ts";
import { CANARY } from "./canary.ts";
import type { CompiledMapping } from "./mapping/compile-mapping.ts";
import type { MappingInput } from "./mapping/mapping-input.ts";
import { compileTried } from "./mapping/compile-tried.ts";
import { readShapesThere, targetNameOf } from "./mapping/mapping-input.ts";
import { OWN_SCHEMA_SQL } from "./own-schema.ts";
import { asking, readTableShapes } from "./read-shapes.ts";
import { expandTables } from "./table-patterns.ts";
import type { TableShape } from "./table-shape.ts";

export type Sessions = Readonly<Record<"old" | "new", WorkSession>>;

/** Makes the tables of Twinwire's own on both sides, where they are not there yet. */
export async function makeOwnSchema(sessions: Sessions): Promise<void> {
  for (const side of ["old", "new"] as const) {
    await sessions[side].execute(`SET client_min_messages = warning; ${OWN_SCHEMA_SQL}`);
  }
}

/** The tables of OLD that travel, as they are now. */
export async function readSources(
  { old }: Sessions,
  patterns: readonly string[],
): Promise<readonly TableShape[]> {
  const ask = asking(old);
  return await readTableShapes(ask, await expandTables(ask, patterns));
}

/** What becomes of every table. @throws CodedError refused_by_guard naming all that stands in the way, with the cures */
export async function compile(
  { old, new: fresh }: Sessions,
  sources: readonly TableShape[],
  input: MappingInput,
): Promise<CompiledMapping> {
  const targets = await readShapesThere(
    asking(fresh),
    sources.map((source) => targetNameOf(input, source)),
  );
  const own = {
    old: await readTableShapes(asking(old), [CANARY]),
    new: await readTableShapes(asking(fresh), [CANARY]),
  };
  const compiled = await compileTried(old, fresh, input, {
    sources: [...sources, ...own.old],
    targets: [...targets, ...own.new],
  });
  if (compiled.problems.length === 0) return compiled;
  const lines = compiled.problems.map(
    ({ table, message, cure }) => `${table}: ${message}; ${cure}`,
  );
  throw new CodedError("refused_by_guard", lines.join("\n"));
}
