/**
 * The tables whose oids are `$1` with their partitions of every level: who holds the rows has the triggers, the replica
 * identity and the owner. `sql` is the name quoted, `name` for people. Since PostgreSQL 12.
 */
export const FAMILY = `
  WITH family AS (
    SELECT h.oid AS root, m.oid, n.nspname || '.' || m.relname AS name,
      pg_catalog.format('%I.%I', n.nspname, m.relname) AS sql,
      m.relkind, m.relpersistence, m.relreplident, m.relowner, m.relhassubclass
    FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS h(oid)
    CROSS JOIN LATERAL (SELECT h.oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(h.oid) AS p) AS t(oid)
    JOIN pg_catalog.pg_class AS m ON m.oid = t.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = m.relnamespace)`;
