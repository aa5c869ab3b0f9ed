import type { WorkSession } from "../../upstream/work-session.ts";
import { asking } from "../read-shapes.ts";
import type { TableShape } from "../table-shape.ts";
import { tableKey } from "../table-shape.ts";
import { compileMapping } from "./compile-mapping.ts";
import type { CompiledMapping } from "./compile-mapping.ts";
import type { MappingInput } from "./mapping-input.ts";
import { probeCasts } from "./probe-casts.ts";
import { readTypeFacts } from "./type-facts.ts";

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
