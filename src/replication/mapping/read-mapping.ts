import type { WorkSession } from "../../upstream/work-session.ts";
import { asking, readTableShapes } from "../read-shapes.ts";
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
  const [askOld, askNew] = [asking(old), asking(fresh)];
  const sources = await readTableShapes(askOld, await expandTables(askOld, patterns));
  const targets = await readShapesThere(
    askNew,
    sources.map((source) => targetNameOf(input, source)),
  );
  const compiled = compileMapping(input, sources, targets, {
    source: await readTypeFacts(askOld, sources),
    target: await readTypeFacts(askNew, targets),
  });
  const tried = await probeCasts(old, fresh, compiled.doubts);
  const failed = new Set(tried.map(({ table }) => table));
  return {
    ...compiled,
    tables: compiled.tables.filter(({ source }) => !failed.has(`${source.schema}.${source.name}`)),
    problems: [...compiled.problems, ...tried],
  };
}
