import { OWN_SCHEMA, streamNames } from "../names.ts";
import { quoteIdent, quoteLiteral, tableKey } from "../table-shape.ts";
import type { Check } from "./exam.ts";
import { onBothSides, sideName, texts } from "./exam.ts";
import type { Finding } from "./finding.ts";
import { about } from "./finding.ts";
import { bytesInWords } from "../words.ts";

const SUBSCRIPTIONS = `
  SELECT s.subname, s.subenabled, pg_catalog.json_agg(pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname))
  FROM pg_catalog.pg_subscription AS s JOIN pg_catalog.pg_subscription_rel AS r ON r.srsubid = s.oid
  JOIN pg_catalog.pg_class AS c ON c.oid = r.srrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
  GROUP BY s.oid, s.subname, s.subenabled ORDER BY s.subname`;

/** Somebody else writes into the tables that are moved: on NEW it would write them twice, on OLD it is one more writer. */
export const otherWriters: Check = (exam) =>
  onBothSides(async (side) => {
    const moved = new Set(
      exam.tables.map(({ source, target }) => tableKey(side === "old" ? source : target)),
    );
    const rows = await exam[side](SUBSCRIPTIONS);
    return rows.flatMap((row): Finding[] => {
      const [name = "", , json = "[]"] = texts(row, 3);
      const tables = (JSON.parse(json) as { schema: string; name: string }[]).map(tableKey);
      const both = tables.filter((table) => moved.has(table));
      if (both.length === 0) return [];
      const quoted = quoteIdent(name);
      if (side === "old") {
        const sentence = `the subscription ${name} writes into ${both.length} of the tables on OLD: what it writes travels to NEW, and stops coming to NEW at the switch`;
        return [{ ...about("subscription", "warning", side, name), sentence }];
      }
      return [
        {
          ...about("subscription", "blocker", side, name),
          sentence: `the subscription ${name} fills ${both.length} of the tables on NEW already: two that fill them write every row twice`,
          cure: {
            at: side,
            lines: [
              `ALTER SUBSCRIPTION ${quoted} DISABLE`,
              `ALTER SUBSCRIPTION ${quoted} SET (slot_name = NONE)`,
              `DROP SUBSCRIPTION ${quoted}`,
            ],
          },
        },
      ];
    });
  });

const IDLE_SLOTS = `
  SELECT s.slot_name, s.wal_status,
    COALESCE(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn), 0)::pg_catalog.int8,
    COALESCE(s.database = pg_catalog.current_database(), false)
  FROM pg_catalog.pg_replication_slots AS s WHERE NOT s.active ORDER BY s.slot_name`;

/** Slots that nobody reads hold WAL; some of them may be ours from before. */
export const idleSlots: Check = (exam) =>
  onBothSides(async (side) => {
    const own = streamNames(exam.migration, side === "old" ? "forward" : "reverse").slot;
    return (await exam[side](IDLE_SLOTS)).flatMap((row): Finding[] => {
      const [slot = "", status = "", bytes = "", here] = texts(row, 4);
      const cure = {
        at: side,
        lines: [`SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(slot)})`],
      };
      if (status === "lost") {
        const what = slot === own ? ": NEW needs a new copy" : "";
        const sentence = `the slot ${slot} on ${sideName(side)} is lost, the log it needs is gone${what}`;
        return [{ ...about("lost_slot", "warning", side, slot), sentence, cure }];
      }
      if (slot === own) return [];
      if (slot.startsWith(`${OWN_SCHEMA}_`) && here === "t") {
        const sentence = `the slot ${slot} on ${sideName(side)} is left from another migration of Twinwire and holds ${bytesInWords(Number(bytes))} of WAL; \`twinwire gc\` shows all that is left`;
        return [{ ...about("left_over", "warning", side, slot), sentence, cure }];
      }
      const sentence = `nobody reads the slot ${slot} on ${sideName(side)}, which holds ${bytesInWords(Number(bytes))} of WAL`;
      return [{ ...about("idle_slot", "note", side, slot), sentence, cure }];
    });
  });

const PUBLICATIONS = String.raw`
  SELECT p.pubname FROM pg_catalog.pg_publication AS p WHERE p.pubname LIKE 'twinwire\_%' ORDER BY 1`;

export const leftPublications: Check = (exam) =>
  onBothSides(async (side) => {
    const own = streamNames(exam.migration, side === "old" ? "forward" : "reverse").publication;
    return (await exam[side](PUBLICATIONS)).flatMap(([name]): Finding[] =>
      name === own
        ? []
        : [
            {
              ...about("left_over", "note", side, name ?? ""),
              sentence: `the publication ${name ?? ""} on ${sideName(side)} is left from another migration of Twinwire, or belongs to one`,
              cure: { at: side, lines: [`DROP PUBLICATION ${quoteIdent(name ?? "")}`] },
            },
          ],
    );
  });
