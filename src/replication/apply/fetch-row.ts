import type { WorkSession } from "../../upstream/work-session.ts";
import { quoteIdent, quoteTable } from "../table-shape.ts";
import type { FetchRow } from "./translate.ts";

/**
 * Reads rows of the source by their key over a session of its own, which is opened when first needed and kept.
 * @throws WorkError, CodedError
 */
export function openRowFetcher(open: () => Promise<WorkSession>): {
  readonly fetchRow: FetchRow;
  close(): Promise<void>;
} {
  let opened: Promise<WorkSession> | undefined;
  return {
    fetchRow: async (relation, row) => {
      let session = await (opened ??= open());
      if (session.over) session = await (opened = open());
      const key = relation.columns.flatMap(({ name, isKey }, index) => {
        const value = row[index];
        return isKey && Buffer.isBuffer(value) ? [{ name: quoteIdent(name), value }] : [];
      });
      const columns = relation.columns.map(({ name }) => quoteIdent(name));
      const where = key.map(({ name }, index) => `${name} = $${index + 1}`);
      const { rows } = await session.query({
        sql: `SELECT ${columns.join(", ")} FROM ${quoteTable(relation)} WHERE ${where.join(" AND ")}`,
        values: key.map(({ value }) => value),
      });
      const [found] = rows;
      return found?.map((text) => (text === null ? null : Buffer.from(text, "utf8")));
    },
    close: async () => {
      const session = await opened?.catch(() => undefined);
      await session?.close();
    },
  };
}
