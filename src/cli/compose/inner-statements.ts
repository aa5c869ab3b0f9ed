import type { Analyser } from "../../sql/analyser.ts";
import type { Statement } from "../../sql/statement.ts";

/** What stands before the statement in `PREPARE name (types) AS statement`. */
const PREPARE_HEAD = /^\s*prepare\s+(?:"(?:[^"]|"")*"|[^\s("]+)\s*(?:\([^)]*\))?\s*as\s+/i;

/** The statement that a PREPARE statement prepares; none when its head is not understood. */
export function innerStatements(analyser: Analyser, prepareSql: string): readonly Statement[] {
  const head = PREPARE_HEAD.exec(prepareSql);
  if (head === null) return [];
  const inner = Buffer.from(prepareSql.slice(head[0].length));
  return analyser.analyse(inner, 0, inner.length).statements;
}
