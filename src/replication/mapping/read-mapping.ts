import type { WorkSession } from "../../upstream/work-session.ts";
import { asking, readTableShapes } from "../read-shapes.ts";
import type { TableShape } from "../table-shape.ts";
import { tableKey } from "../table-shape.ts";
import { expandTables } from "../table-patterns.ts";
import { compileMapping } from "./compile-mapping.ts";
import type { CompiledMapping } from "./compile-mapping.ts";
import type { MappingInput } from "./mapping-input.ts";
import { readShapesThere, targetNameOf } from "./mapping-input.ts";
import { probeCasts } from "./probe-casts.ts";
import { readTypeFacts } from "./type-facts.ts";

/**
 * The mapping of a migration from what both databases hold now, with doubtful types tried.
 * @param patterns which tables of OLD travel
 * @throws CodedError `config_invalid`; `not_found` when a full name names no table
 */
export async function readMapping(
  old: WorkSession,
  fresh: WorkSession,
  patterns: readonly string[],
  input: MappingInput,
): Promise<CompiledMapping> {
  const ask = asking(old);
  const sources = await readTableShapes(ask, await expandTables(ask, patterns));
  const targets = await readShapesThere(
    asking(fresh),
    sources.map((source) => targetNameOf(input, source)),
  );
  return await compileTried(old, fresh, input, { sources, targets });
}

/** What becomes of tables of OLD in those of NEW, by what both know of their types, and with doubtful ones tried. @throws CodedError */
export async function compileTried(
  old: WorkSession,
  fresh: WorkSession,
  input: MappingInput,
  { sources, targets }: Readonly<Record<"sources" | "targets", readonly TableShape[]>>,
): Promise<CompiledMapping> {
  const compiled = compileMapping(input, sources, targets, {
    source: await readTypeFacts(asking(old), sources),
    target: await readTypeFacts(asking(fresh), targets),
  });
  const tried = await probeCasts(old, fresh, compiled.doubts);
  const failed = new Set(tried.map(({ table }) => table));
  return {
    ...compiled,
    tables: compiled.tables.filter(({ source }) => !failed.has(tableKey(source))),
    problems: [...compiled.problems, ...tried],
  };
}
