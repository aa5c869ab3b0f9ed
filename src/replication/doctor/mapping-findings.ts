import type { WorkSession } from "../../upstream/work-session.ts";
import { readShapesThere, targetNameOf } from "../mapping/mapping-input.ts";
import type { MappingInput } from "../mapping/mapping-input.ts";
import { compileTried } from "../mapping/compile-tried.ts";
import { asking, readTableShapes } from "../read-shapes.ts";
import { tableKey } from "../table-shape.ts";
import type { TableName } from "../table-shape.ts";
import type { Finding } from "./finding.ts";
import { about } from "./finding.ts";

/**
 * What the mapping makes of the tables whose targets exist; the others are `missing_table`'s matter, or their schema is
 * copied and is the same.
 * @throws CodedError
 */
export async function mappingFindings(
  old: WorkSession,
  fresh: WorkSession,
  input: MappingInput,
  tables: readonly TableName[],
): Promise<Finding[]> {
  const [askOld, askNew] = [asking(old), asking(fresh)];
  const targets = await readShapesThere(
    askNew,
    tables.map((table) => targetNameOf(input, table)),
  );
  const there = new Set(targets.map(tableKey));
  const sources = await readTableShapes(
    askOld,
    tables.filter((table) => there.has(tableKey(targetNameOf(input, table)))),
  );
  const known = new Set(sources.map(tableKey));
  const tablesOfInput = input.tables.filter(({ table }) => known.has(tableKey(table)));
  const compiled = await compileTried(
    old,
    fresh,
    { ...input, tables: tablesOfInput },
    { sources, targets },
  );
  return [
    ...compiled.problems.map(({ table, message, cure }) => ({
      ...about("mapping", "blocker", "new", table),
      sentence: `${table}: ${message}; ${cure}`,
    })),
    ...compiled.tables.flatMap(({ source, whyNoInverse }) =>
      whyNoInverse === undefined
        ? []
        : [
            {
              ...about("no_way_back", "warning", "new", tableKey(source)),
              sentence: whyNoInverse,
            },
          ],
    ),
    ...compiled.notes.map(({ table, note }) => ({
      ...about("mapping", "note", "new", table),
      sentence: `${table}: ${note}`,
    })),
  ];
}
