import type { Expected } from "./expected.ts";

/** Transactions, settings, cursors, prepared statements, notifications and the rest. */
export const SESSION_STATEMENTS: readonly Expected[] = [
  // Transactions.
  { sql: "BEGIN", why: "by itself", kind: "transaction", effects: [begin(undefined)] },
  {
    sql: "BEGIN WORK READ ONLY",
    why: "read only",
    kind: "transaction",
    effects: [begin("read_only")],
  },
  {
    sql: "START TRANSACTION READ WRITE",
    why: "read write",
    kind: "transaction",
    effects: [begin("read_write")],
  },
  {
    sql: "BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE, DEFERRABLE",
    why: "among others",
    kind: "transaction",
    effects: [begin("read_write")],
  },
  {
    sql: "BEGIN READ WRITE READ ONLY",
    why: "the last one counts",
    kind: "transaction",
    effects: [begin("read_only")],
    onServer: "not_run",
  },
  { sql: "COMMIT", why: "end", kind: "transaction", effects: [{ type: "commit", chain: false }] },
  {
    sql: "END TRANSACTION",
    why: "another word",
    kind: "transaction",
    effects: [{ type: "commit", chain: false }],
  },
  {
    sql: "COMMIT AND CHAIN",
    why: "goes on",
    kind: "transaction",
    effects: [{ type: "commit", chain: true }],
  },
  {
    sql: "COMMIT AND NO CHAIN",
    why: "does not",
    kind: "transaction",
    effects: [{ type: "commit", chain: false }],
  },
  {
    sql: "ROLLBACK",
    why: "undo",
    kind: "transaction",
    effects: [{ type: "rollback", chain: false }],
  },
  {
    sql: "ABORT",
    why: "another word",
    kind: "transaction",
    effects: [{ type: "rollback", chain: false }],
  },
  {
    sql: "ROLLBACK AND CHAIN",
    why: "goes on",
    kind: "transaction",
    effects: [{ type: "rollback", chain: true }],
  },
  {
    sql: "SAVEPOINT a",
    why: "a mark",
    kind: "transaction",
    effects: [{ type: "savepoint", name: "a" }],
  },
  {
    sql: 'SAVEPOINT "A b"',
    why: "quoted",
    kind: "transaction",
    effects: [{ type: "savepoint", name: "A b" }],
  },
  {
    sql: "RELEASE SAVEPOINT a",
    why: "forget it",
    kind: "transaction",
    effects: [{ type: "release", name: "a" }],
  },
  {
    sql: "ROLLBACK TO a",
    why: "back to it",
    kind: "transaction",
    effects: [{ type: "rollback_to", name: "a" }],
  },
  {
    sql: "PREPARE TRANSACTION 'x'",
    why: "two phases",
    kind: "transaction",
    effects: [{ type: "prepare_transaction" }],
  },
  { sql: "COMMIT PREPARED 'x'", why: "nothing of this session's", kind: "transaction" },
  { sql: "ROLLBACK PREPARED 'x'", why: "nothing of this session's", kind: "transaction" },

  // Settings.
  {
    sql: "SET work_mem = '8MB'",
    why: "a value",
    kind: "session",
    effects: [set("work_mem", "SET work_mem = '8MB'")],
  },
  {
    sql: "SET SESSION Work_Mem TO '8MB'",
    why: "names are folded",
    kind: "session",
    effects: [set("work_mem", "SET SESSION Work_Mem TO '8MB'")],
  },
  {
    sql: "SET LOCAL work_mem = 100",
    why: "until the transaction ends",
    kind: "session",
    effects: [set("work_mem", "SET LOCAL work_mem = 100", true)],
  },
  {
    sql: "SET app.tenant = '7'",
    why: "a setting of the application",
    kind: "session",
    effects: [set("app.tenant", "SET app.tenant = '7'")],
  },
  {
    sql: "SET search_path TO sales, public",
    why: "a list",
    kind: "session",
    effects: [set("search_path", "SET search_path TO sales, public")],
  },
  {
    sql: "SET SCHEMA 'sales'",
    why: "search_path by another name",
    kind: "session",
    effects: [set("search_path", "SET SCHEMA 'sales'")],
  },
  {
    sql: "SET NAMES 'utf8'",
    why: "client_encoding by another name",
    kind: "session",
    effects: [set("client_encoding", "SET NAMES 'utf8'")],
  },
  {
    sql: "SET TIME ZONE 'Europe/Berlin'",
    why: "syntax of its own",
    kind: "session",
    effects: [set("timezone", "SET TIME ZONE 'Europe/Berlin'")],
  },
  {
    sql: "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
    why: "an interval",
    kind: "session",
    effects: [set("timezone", "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE")],
  },
  {
    sql: "SET TIME ZONE LOCAL",
    why: "back to the default",
    kind: "session",
    effects: [{ type: "reset", name: "timezone" }],
  },
  {
    sql: "SET ROLE postgres",
    why: "another role",
    kind: "session",
    effects: [set("role", "SET ROLE postgres")],
  },
  {
    sql: "SET ROLE NONE",
    why: "its own again",
    kind: "session",
    effects: [set("role", "SET ROLE NONE")],
  },
  {
    sql: "SET SESSION AUTHORIZATION postgres",
    why: "another user",
    kind: "session",
    effects: [set("session_authorization", "SET SESSION AUTHORIZATION postgres")],
  },
  {
    sql: "RESET SESSION AUTHORIZATION",
    why: "its own again",
    kind: "session",
    effects: [{ type: "reset", name: "session_authorization" }],
  },
  {
    sql: "SET work_mem TO DEFAULT",
    why: "a RESET",
    kind: "session",
    effects: [{ type: "reset", name: "work_mem" }],
  },
  {
    sql: "SET LOCAL work_mem TO DEFAULT",
    why: "a RESET until the end",
    kind: "session",
    effects: [set("work_mem", "SET LOCAL work_mem TO DEFAULT", true)],
  },
  {
    sql: "RESET work_mem",
    why: "one setting",
    kind: "session",
    effects: [{ type: "reset", name: "work_mem" }],
  },
  { sql: "RESET ALL", why: "all settings", kind: "session", effects: [{ type: "reset_all" }] },
  {
    sql: "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    why: "this transaction only",
    kind: "session",
    effects: [
      set("transaction_isolation", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", true),
    ],
  },
  {
    sql: "SET TRANSACTION READ WRITE",
    why: "asks for what a shadow has not",
    kind: "session",
    effects: [readOnly("transaction_read_only", true, "off")],
    onServer: "accepted",
  },
  {
    sql: "SET TRANSACTION READ ONLY",
    why: "asks for less",
    kind: "session",
    effects: [readOnly("transaction_read_only", true, "on")],
  },
  {
    sql: "SET transaction_read_only = no",
    why: "as a setting",
    kind: "session",
    effects: [readOnly("transaction_read_only", true, "off")],
  },
  {
    sql: "SET default_transaction_read_only TO 'f'",
    why: "for the session",
    kind: "session",
    effects: [readOnly("default_transaction_read_only", false, "off")],
  },
  {
    sql: "SET default_transaction_read_only = 0",
    why: "as a number",
    kind: "session",
    effects: [readOnly("default_transaction_read_only", false, "off")],
  },
  {
    sql: "SET LOCAL default_transaction_read_only = true",
    why: "until the end",
    kind: "session",
    effects: [readOnly("default_transaction_read_only", true, "on")],
  },
  {
    sql: "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
    why: "defaults of the session",
    kind: "session",
    effects: [
      set(
        "default_transaction_isolation",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
      ),
      readOnly("default_transaction_read_only", false, "off"),
    ],
  },
  {
    sql: "SELECT set_config('app.tenant', 'o''neil', false)",
    why: "SET as a function",
    kind: "session",
    functions: ["set_config"],
    effects: [set("app.tenant", "SELECT pg_catalog.set_config('app.tenant', 'o''neil', false)")],
  },
  {
    sql: "SELECT pg_catalog.set_config('search_path', '', false)",
    why: "what pg_dump says first",
    kind: "session",
    functions: ["pg_catalog.set_config"],
    effects: [set("search_path", "SELECT pg_catalog.set_config('search_path', '', false)")],
  },
  {
    sql: "SELECT id, set_config('app.x', 'a\\b', true) FROM orders",
    why: "inside a read it is still a read; backslashes survive",
    kind: "read",
    tables: ["orders"],
    functions: ["set_config"],
    effects: [set("app.x", "SELECT pg_catalog.set_config('app.x', E'a\\\\b', true)", true)],
  },
  {
    sql: "SELECT set_config('transaction_read_only', 'off', true)",
    why: "asks for what a shadow has not",
    kind: "session",
    functions: ["set_config"],
    effects: [readOnly("transaction_read_only", true, "off")],
    onServer: "not_run",
  },
  {
    sql: "SELECT set_config('app.tenant', $1, true)",
    why: "the value is a parameter",
    kind: "session",
    functions: ["set_config"],
    effects: [{ type: "set_unknown", name: "app.tenant", local: true }],
    onServer: "not_run",
  },
  {
    sql: "SELECT set_config(name, 'on', false) FROM customers WHERE false",
    why: "the name is a column",
    kind: "read",
    tables: ["customers"],
    functions: ["set_config"],
    effects: [{ type: "set_unknown", name: undefined, local: false }],
  },
  { sql: "SHOW TimeZone", why: "should be alike", kind: "session" },
  { sql: "SHOW search_path", why: "should be alike", kind: "session" },
  { sql: "SHOW TRANSACTION ISOLATION LEVEL", why: "should be alike", kind: "session" },
  { sql: "SHOW app.tenant", why: "the application's own", kind: "session", onServer: "not_run" },
  { sql: "SHOW server_version", why: "the server's own", kind: "session", noise: ["server"] },
  { sql: "SHOW ALL", why: "the server's own", kind: "session", noise: ["server"] },
  {
    sql: "DISCARD ALL",
    why: "a new session",
    kind: "session",
    effects: [{ type: "discard", target: "all" }],
    onServer: "not_run",
  },
  {
    sql: "DISCARD PLANS",
    why: "plans",
    kind: "session",
    effects: [{ type: "discard", target: "plans" }],
  },
  {
    sql: "DISCARD SEQUENCES",
    why: "currval",
    kind: "session",
    effects: [{ type: "discard", target: "sequences" }],
  },
  {
    sql: "DISCARD TEMPORARY",
    why: "temporary tables",
    kind: "session",
    effects: [{ type: "discard", target: "temp" }],
  },
  { sql: "SET CONSTRAINTS ALL DEFERRED", why: "of the transaction", kind: "session" },

  // Cursors.
  {
    sql: "DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id",
    why: "its rows come with FETCH",
    kind: "cursor",
    tables: ["orders"],
    effects: [{ type: "declare_cursor", name: "c", hold: false }],
  },
  {
    sql: "DECLARE c2 SCROLL CURSOR WITH HOLD FOR SELECT id FROM orders",
    why: "outlives the transaction",
    kind: "cursor",
    tables: ["orders"],
    effects: [{ type: "declare_cursor", name: "c2", hold: true }],
  },
  {
    sql: "FETCH 10 FROM c",
    why: "which ten, who knows",
    kind: "cursor",
    noise: ["underspecified"],
  },
  {
    sql: "FETCH NEXT FROM c",
    why: "which one, who knows",
    kind: "cursor",
    noise: ["underspecified"],
  },
  { sql: "FETCH ALL IN c", why: "all of them", kind: "cursor" },
  { sql: "MOVE FORWARD 5 IN c", why: "no rows", kind: "cursor", noise: ["underspecified"] },
  { sql: "CLOSE c", why: "one", kind: "cursor", effects: [{ type: "close_cursor", name: "c" }] },
  {
    sql: "CLOSE ALL",
    why: "all",
    kind: "cursor",
    effects: [{ type: "close_cursor", name: undefined }],
  },

  // Prepared statements.
  {
    sql: "PREPARE p AS DELETE FROM orders WHERE id = $1",
    why: "nothing is deleted yet",
    kind: "prepare",
    tables: ["orders"],
    effects: [{ type: "prepare", name: "p", sql: "PREPARE p AS DELETE FROM orders WHERE id = $1" }],
  },
  {
    sql: "PREPARE p2 (int) AS SELECT pg_advisory_lock($1)",
    why: "nothing is locked yet",
    kind: "prepare",
    functions: ["pg_advisory_lock"],
    effects: [
      { type: "prepare", name: "p2", sql: "PREPARE p2 (int) AS SELECT pg_advisory_lock($1)" },
    ],
  },
  {
    sql: "EXECUTE p (1)",
    why: "what it runs is known to the session",
    kind: "prepare",
    effects: [{ type: "execute", name: "p" }],
  },
  {
    sql: "EXECUTE p (lower('A'))",
    why: "arguments may call",
    kind: "prepare",
    functions: ["lower"],
    effects: [{ type: "execute", name: "p" }],
  },
  {
    sql: "DEALLOCATE p",
    why: "one",
    kind: "prepare",
    effects: [{ type: "deallocate", name: "p" }],
  },
  {
    sql: "DEALLOCATE PREPARE ALL",
    why: "all",
    kind: "prepare",
    effects: [{ type: "deallocate", name: undefined }],
  },

  // Notifications.
  {
    sql: "LISTEN news",
    why: "from now on",
    kind: "notify",
    effects: [{ type: "listen", channel: "news" }],
  },
  {
    sql: 'UNLISTEN "News"',
    why: "one",
    kind: "notify",
    effects: [{ type: "unlisten", channel: "News" }],
  },
  {
    sql: "UNLISTEN *",
    why: "all",
    kind: "notify",
    effects: [{ type: "unlisten", channel: undefined }],
  },
  { sql: "NOTIFY news, 'hot'", why: "to all who listen", kind: "notify" },

  // COPY and EXPLAIN.
  {
    sql: "COPY orders FROM STDIN",
    why: "rows from the client",
    kind: "copy_in",
    tables: ["orders"],
    written: ["orders"],
  },
  {
    sql: "COPY orders (id) FROM STDIN WITH (FORMAT csv)",
    why: "some columns",
    kind: "copy_in",
    tables: ["orders"],
    written: ["orders"],
  },
  { sql: "COPY orders TO STDOUT", why: "rows to the client", kind: "copy_out", tables: ["orders"] },
  {
    sql: "COPY (SELECT id FROM orders ORDER BY id) TO STDOUT",
    why: "in an order",
    kind: "copy_out",
    tables: ["orders"],
    order: { kind: "keys", columns: [0], complete: true, limited: false },
  },
  {
    sql: "COPY orders TO '/tmp/x'",
    why: "a file of the server",
    kind: "utility",
    tables: ["orders"],
  },
  {
    sql: "COPY orders TO PROGRAM 'true'",
    why: "a program on the server",
    kind: "utility",
    tables: ["orders"],
  },
  {
    sql: "EXPLAIN SELECT id FROM orders",
    why: "a plan",
    kind: "explain",
    tables: ["orders"],
    noise: ["explain"],
  },
  {
    sql: "EXPLAIN ANALYZE SELECT id FROM orders",
    why: "a plan and times",
    kind: "explain",
    tables: ["orders"],
    noise: ["explain"],
  },
  {
    sql: "EXPLAIN DELETE FROM orders",
    why: "nothing is deleted",
    kind: "explain",
    tables: ["orders"],
    noise: ["explain"],
    onServer: "accepted",
  },
  {
    sql: "EXPLAIN (ANALYZE false) DELETE FROM orders",
    why: "nothing is deleted",
    kind: "explain",
    tables: ["orders"],
    noise: ["explain"],
    onServer: "accepted",
  },
  {
    sql: "EXPLAIN (ANALYZE 0) DELETE FROM orders",
    why: "0 is no",
    kind: "explain",
    tables: ["orders"],
    noise: ["explain"],
    onServer: "accepted",
  },

  // Locks.
  {
    sql: "SELECT pg_advisory_lock(1)",
    why: "outlives the transaction",
    kind: "read",
    functions: ["pg_advisory_lock"],
    effects: [{ type: "advisory_lock" }],
  },
  {
    sql: "SELECT pg_try_advisory_lock_shared(1, 2)",
    why: "so does this",
    kind: "read",
    functions: ["pg_try_advisory_lock_shared"],
    effects: [{ type: "advisory_lock" }],
  },
  {
    sql: "SELECT pg_advisory_xact_lock(1)",
    why: "ends with the transaction",
    kind: "read",
    functions: ["pg_advisory_xact_lock"],
  },
  {
    sql: "LOCK TABLE orders IN ACCESS SHARE MODE",
    why: "a lock",
    kind: "utility",
    tables: ["orders"],
  },

  // The rest.
  { sql: "VACUUM orders", why: "maintenance", kind: "utility", tables: ["orders"] },
  { sql: "ANALYZE orders", why: "maintenance", kind: "utility", tables: ["orders"] },
  { sql: "REINDEX TABLE orders", why: "maintenance", kind: "utility", tables: ["orders"] },
  {
    sql: "CLUSTER orders USING orders_pkey",
    why: "maintenance",
    kind: "utility",
    tables: ["orders"],
  },
  { sql: "CHECKPOINT", why: "administration", kind: "utility" },
  { sql: "CALL tidy()", why: "a procedure may do anything", kind: "utility", functions: ["tidy"] },
  { sql: "DO $$ BEGIN DELETE FROM orders; END $$", why: "so may a block", kind: "utility" },
  { sql: "", why: "nothing", kind: "empty" },
  { sql: "  -- nothing\n ; ", why: "nothing that counts", kind: "empty" },
];

function begin(
  access: "read_only" | "read_write" | undefined,
): NonNullable<Expected["effects"]>[0] {
  return { type: "begin", access };
}

function set(name: string, sql: string, local = false): NonNullable<Expected["effects"]>[0] {
  return { type: "set", name, local, sql };
}

function readOnly(
  name: string,
  local: boolean,
  value: string,
): NonNullable<Expected["effects"]>[0] {
  return set(name, `SET ${local ? "LOCAL" : "SESSION"} ${name} TO ${value}`, local);
}
