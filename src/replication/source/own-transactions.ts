import type { PgoutputMessage, PgoutputTuple } from "../../wire/postgres/pgoutput-message.ts";
import type { StreamNames } from "../names.ts";
import { isProgress, relationIn } from "./read-changes.ts";
import type { Relations } from "./relation-cache.ts";

/**
 * Whether a transaction was applied by the opposite stream, by its first change of a row: that is where its position is
 * written. Where origins may be used the origin says it too, and says nothing against it.
 */
export function isOwn(
  first: PgoutputMessage,
  relations: Relations,
  opposite: StreamNames,
): boolean {
  if (first.type !== "insert" && first.type !== "update" && first.type !== "delete") return false;
  const relation = relationIn(relations, first.relationOid);
  if (!isProgress(relation)) return false;
  const index = relation.columns.findIndex((column) => column.name === "stream");
  const row: PgoutputTuple = first.type === "delete" ? first.before : first.row;
  const value = row[index];
  return Buffer.isBuffer(value) && value.toString("utf8") === opposite.stream;
}
