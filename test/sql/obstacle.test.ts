import t from "tap";
import { mirrorObstacle } from "../../src/routing/obstacle.ts";
import { openAnalyser } from "../../src/sql/analyser.ts";
import type { FunctionCatalogue } from "../../src/sql/analysis.ts";
import type { Statement } from "../../src/sql/statement.ts";

const analyser = await openAnalyser();

/** As a server's catalogue tells it; `timezone` is volatile on 14. */
const VOLATILE: ReadonlySet<string> = new Set([
  "touch",
  "odd",
  "timezone",
  "pg_sleep",
  "random",
  "set_config",
  "pg_relation_size",
]);
const catalogue: FunctionCatalogue = { isVolatile: (name) => VOLATILE.has(name) };
const SAFE: ReadonlySet<string> = new Set(["odd", "audit.random"]);

function statement(sql: string): Statement {
  const bytes = Buffer.from(sql);
  const [first] = analyser.analyse(bytes, 0, bytes.length).statements;
  if (first === undefined) throw new Error(sql);
  return first;
}

const TABLE: readonly [obstacle: string | undefined, sql: string, why: string][] = [
  [undefined, "SELECT id FROM orders", "a read"],
  [undefined, "", "nothing"],
  [undefined, "SELECT now(), lower('A')", "stable and immutable functions"],
  [undefined, "SELECT pg_sleep(1)", "volatile by name only"],
  [undefined, "SELECT a AT TIME ZONE 'UTC' FROM orders", "volatile on old servers"],
  [undefined, "SELECT pg_relation_size('orders')", "reads a size"],
  [undefined, "SELECT odd(1)", "declared safe"],
  [undefined, "SELECT audit.random()", "declared safe with its schema"],
  ["volatile_function", "SELECT touch()", "the catalogue says so"],
  ["volatile_function", "SELECT public.touch()", "whatever the schema"],
  ["volatile_function", "SELECT id FROM orders WHERE touch() > 0", "wherever it is called"],
  ["volatile_function", "SELECT random()", "another value on each side"],
  ["volatile_function", "SELECT gen_random_uuid()", "another value on each side"],
  ["volatile_function", "SELECT clock_timestamp()", "another value on each side"],
  ["side_effect", "SELECT nextval('s')", "no rollback undoes it"],
  ["side_effect", "SELECT setval('s', 1)", "no rollback undoes it"],
  ["side_effect", "SELECT pg_advisory_xact_lock(1)", "a lock"],
  ["side_effect", "SELECT pg_advisory_lock(1)", "a lock"],
  ["side_effect", "SELECT pg_cancel_backend(1)", "hits another session"],
  ["side_effect", "SELECT pg_terminate_backend(1)", "hits another session"],
  ["side_effect", "SELECT pg_read_file('x')", "the server's files"],
  ["side_effect", "SELECT pg_switch_wal()", "the server's log"],
  ["side_effect", "SELECT lo_create(0)", "a large object"],
  ["side_effect", "SELECT * FROM dblink('x', 'y') AS t (a int)", "another server"],
  ["notify", "SELECT pg_notify('a', 'b')", "a notification"],
  ["session", "SELECT pg_backend_pid()", "one server's process"],
  ["session", "SELECT currval('s')", "one session's sequences"],
  ["session", "SELECT txid_current()", "one server's transactions"],
  ["write", "INSERT INTO orders VALUES (1)", "a write"],
  ["write", "SELECT id FROM orders FOR UPDATE", "row locks"],
  ["write", "WITH x AS (DELETE FROM orders RETURNING 1) SELECT 1", "a write inside"],
  ["write", "EXPLAIN ANALYZE DELETE FROM orders", "a write that is explained"],
  ["write", "COPY orders FROM '/tmp/x'", "a write from a file"],
  ["write", "TRUNCATE orders", "a write"],
  [undefined, "EXPLAIN DELETE FROM orders", "nothing is run"],
  ["ddl", "CREATE TABLE x (id int)", "schema"],
  ["ddl", "CREATE TEMP TABLE x (id int)", "schema"],
  [
    "ddl",
    "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
    "servers let it pass in a read-only transaction",
  ],
  ["copy_in", "COPY orders FROM STDIN", "rows"],
  [undefined, "COPY orders TO STDOUT", "rows the other way"],
  ["utility", "COPY orders TO PROGRAM 'x'", "a program"],
  ["utility", "VACUUM", "maintenance"],
  ["utility", "CALL tidy()", "may do anything"],
  ["utility", "LOCK orders", "a lock"],
  ["notify", "LISTEN a", "notifications"],
  ["notify", "NOTIFY a", "notifications"],
  [undefined, "BEGIN", "keeps the sessions in step"],
  [undefined, "BEGIN READ ONLY", "the shadow is that anyway"],
  ["read_write", "BEGIN READ WRITE", "the shadow is not that"],
  ["read_write", "SET TRANSACTION READ WRITE", "servers let it pass in a read-only session"],
  ["read_write", "SET transaction_read_only = off", "the same"],
  ["read_write", "SET default_transaction_read_only TO 'no'", "the same"],
  ["read_write", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "the same"],
  ["read_write", "SELECT set_config('default_transaction_read_only', 'off', false)", "the same"],
  ["read_write", "SELECT set_config('transaction_read_only', $1, false)", "perhaps the same"],
  ["session", "SELECT set_config($1, $2, false)", "perhaps the same"],
  [undefined, "SELECT set_config('app.tenant', $1, false)", "keeps the sessions in step"],
  [undefined, "SET default_transaction_read_only = on", "the shadow is that anyway"],
  [undefined, "SET search_path TO a", "keeps the sessions in step"],
  [undefined, "COMMIT", "keeps the sessions in step"],
  ["two_phase", "PREPARE TRANSACTION 'x'", "two phases"],
  ["two_phase", "COMMIT PREPARED 'x'", "two phases"],
  [undefined, "DECLARE c CURSOR FOR SELECT 1", "ends with its transaction"],
  ["held_cursor", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "does not"],
  ["write", "DECLARE c CURSOR FOR SELECT id FROM orders FOR UPDATE", "locks"],
  ["volatile_function", "DECLARE c CURSOR FOR SELECT touch()", "calls"],
  [undefined, "FETCH 1 FROM c", "from a cursor that is there on both"],
  [undefined, "PREPARE p AS DELETE FROM orders", "only kept"],
  [undefined, "PREPARE p AS SELECT nextval('s')", "only kept"],
  [undefined, "EXECUTE p(1)", "what it runs is looked up by the caller"],
  ["side_effect", "EXECUTE p(nextval('s'))", "its arguments run"],
  [undefined, "SHOW TimeZone", "like a read"],
  [undefined, "DISCARD ALL", "keeps the sessions in step"],
  [undefined, "SELECT 123abc", "may be right on an older server"],
  ["side_effect", "SELECT 123abc, nextval('s')", "even so its calls count"],
  ["unparsable", "DELETE 123abc", "who knows"],
  ["unparsable", "SELECT 1a; DELETE FROM orders", "who knows"],
];

void t.test("what may not run on a read-only shadow is known with the reason", async (test) => {
  for (const [obstacle, sql, why] of TABLE)
    test.equal(mirrorObstacle(statement(sql), catalogue, SAFE), obstacle, `${sql} (${why})`);
});
