import { copies } from "./raw-conversations-copy.ts";
import { extended } from "./raw-conversations-extended.ts";
import {
  batch,
  bind,
  describe,
  execute,
  functionCall,
  int32,
  parse,
  query,
  sync,
  terminate,
} from "./raw-messages.ts";
import { asked, synced, talk } from "./raw-talk.ts";
import type { Conversation, Stage } from "./raw-talk.ts";

const simple: readonly Conversation[] = [
  talk(
    "several statements in one Query",
    asked("select 1; select 'two' as b, null as c; select id, name from items where id < 4"),
    asked("select 1 as a;; ; select 2"),
    asked("begin; insert into inbox values (1, 'x'); select count(*) from inbox; rollback"),
  ),
  talk(
    "empty queries",
    asked(""),
    asked(";"),
    asked(" -- nothing but a comment"),
    parse("", ""),
    bind("", ""),
    describe("P", ""),
    execute(""),
    synced,
  ),
  talk(
    "errors in the middle of a Query",
    asked("select 1; select 1/0; select 3"),
    asked("selct 1"),
    asked("select nothing from items where true"),
    asked("insert into strict_inbox values (1, 'a'), (1, 'b')"),
    asked("begin; select 1; select 1/0; commit; select 5"),
    asked("select 6"),
    asked("rollback"),
    asked("select U&'\\00e4' || chr(233) as \"schön\""),
  ),
  talk(
    "queries sent without waiting for the answers",
    Buffer.concat(Array.from({ length: 40 }, (_, n) => query(`select ${n}, ${n % 5 ? n : "1/0"}`))),
    "Z".repeat(40),
  ),
  talk(
    "a query of two megabytes",
    asked(`select length('${"x".repeat(2_000_000)}')`),
    asked("select 'after it'"),
    parse("large", `select $1::int + length('${"y".repeat(1_500_000)}')`),
    bind("", "large", ["1"]),
    execute(""),
    synced,
    bind("", "large", ["2"]),
    execute(""),
    synced,
  ),
  talk("notices", query("select complain()"), "Z", batch("select complain()"), sync, "Z"),
  talk(
    "function calls",
    functionCall(177, [int32(20), int32(22)]), // int4pl
    "Z",
    functionCall(1, []),
    "Z",
    asked("begin"),
    functionCall(154, [int32(1), int32(0)]), // int4div
    "Z",
    functionCall(177, [int32(1), int32(1)]),
    "Z",
    asked("rollback"),
  ),
];

const states: readonly Conversation[] = [
  talk(
    "ParameterStatus",
    asked("set timezone = 'Asia/Tokyo'"),
    asked(
      "set application_name = 'renamed'; set datestyle = 'German'; select made from items where id = 1",
    ),
    asked("begin; set timezone = 'America/Lima'; rollback"),
    asked("begin; set local intervalstyle = 'iso_8601'; select interval '1 day'; commit"),
    batch("set client_encoding = 'LATIN1'"),
    synced,
    asked("select 'ä', chr(228)"),
    asked("reset all"),
    asked("select set_config('timezone', 'UTC', false), current_setting('timezone')"),
  ),
  talk(
    "cursors",
    asked("declare c cursor for select 1"),
    asked("begin; declare c scroll cursor for select id, name from items order by id"),
    asked(
      "fetch 3 from c; fetch backward 2 from c; move forward 10 in c; fetch relative -1 from c",
    ),
    batch("fetch 5 from c"),
    synced,
    asked("close c; commit"),
    asked("declare held cursor with hold for select id from items order by id limit 3"),
    asked("fetch all from held; close held"),
  ),
  talk(
    "transactions that fail",
    asked("begin"),
    asked("select 1/0"),
    asked("select 'ignored'"),
    batch("select 'ignored too'"),
    synced,
    asked("commit"),
    asked("begin; savepoint a; select 1/0"),
    asked("rollback to a; select 'back'"),
    asked("release a; commit and chain; select 'chained'"),
    asked("rollback"),
    asked("begin isolation level serializable read only; insert into inbox values (1)"),
    asked("rollback; commit"),
  ),
  {
    name: "LISTEN and NOTIFY",
    async play({ open }: Stage) {
      const [listener, other] = [await open(), await open()];
      listener.send(query("listen told; notify told, 'myself'"));
      await listener.until("AZ");
      other.send(query("notify told, 'from another'"));
      await other.until("Z");
      await listener.until("A"); // it had asked for nothing
      other.send(query("begin; notify told, 'undone'; rollback"), batch("notify told"), sync);
      await other.until("ZZ");
      await listener.until("A");
      listener.send(query("unlisten *"));
      await listener.until("Z");
      other.send(query("notify told"));
      await other.until("Z");
      for (const session of [listener, other]) {
        session.send(terminate);
        await session.closed();
      }
    },
  },
];

export const conversations: readonly Conversation[] = [
  ...simple,
  ...extended,
  ...copies,
  ...states,
];
