import { setImmediate as turn } from "node:timers/promises";
import {
  batch,
  bind,
  copyData,
  copyDone,
  describe,
  execute,
  parse,
  query,
  sync,
  terminate,
} from "./raw-messages.ts";
import { asked, synced, talk } from "./raw-talk.ts";
import type { Conversation, Stage } from "./raw-talk.ts";

const columns = (count: number): string =>
  Array.from({ length: count }, (_, n) => `${n} as column_${n}`).join(", ");

/** Large ones. */
export const large: readonly Conversation[] = [
  talk(
    "a row of as many columns as there may be, and more",
    asked(`select ${columns(1664)}`),
    parse("", `select ${columns(1664)}`),
    bind("", "", [], { results: [1] }),
    describe("P", ""),
    execute(""),
    synced,
    asked(`select ${columns(2000)}`),
  ),
  talk("a value of 60 MB", asked("select 1, repeat('x', 60000000), 2; select 3")),
  talk(
    "COPY OUT of 50 MB",
    asked("copy (select id, repeat('x', 1000) from generate_series(1, 50000) as id) to stdout"),
    batch("copy (select repeat('y', 10000000), id from generate_series(1, 2) as id) to stdout"),
    synced,
  ),
  {
    name: "COPY IN of 50 MB",
    async play({ open }: Stage) {
      const session = await open();
      session.send(query("begin"), query("copy bulk from stdin"));
      await session.until("ZG");
      const rows = Buffer.from(`7\t${"x".repeat(997)}\n`.repeat(1000));
      for (let sent = 0; sent < 50; sent++) {
        // Pieces that have nothing to do with the rows.
        for (let at = 0; at < rows.length; at += 77_777) {
          session.send(copyData(rows.subarray(at, at + 77_777)));
        }
        while (session.socket.writableLength > 1_000_000) await turn();
      }
      session.send(copyDone);
      await session.until("CZ");
      session.send(query("select count(*), sum(length(body)) from bulk; rollback"));
      await session.until("Z");
      session.send(terminate);
      await session.closed();
    },
  },
];

/** How sessions begin: parameters of the startup packet. */
const SETTINGS: readonly (readonly [string, string])[] = [
  ["application_name", "änderbar"],
  ["client_encoding", "LATIN1"],
  ["options", "-c search_path=pg_catalog,public -c statement_timeout=55s --work-mem=8MB"],
  ["DateStyle", "SQL, DMY"],
  ["extra_float_digits", "0"],
  ["twinwire.custom", "a value"],
];

const beginnings: readonly Conversation[] = [
  {
    name: "settings of the startup packet",
    async play({ open }: Stage) {
      const session = await open({ parameters: SETTINGS });
      const names = ["search_path", "statement_timeout", "work_mem", "extra_float_digits"];
      for (const name of [...names, "twinwire.custom"]) {
        session.send(query(`show ${name}`));
        await session.until("Z");
      }
      session.send(query("select chr(228), date '2024-12-31'; reset all; show search_path"));
      await session.until("Z");
      session.send(terminate);
      await session.closed();
    },
  },
  {
    name: "the last words come with the first",
    async play({ open }: Stage) {
      const session = await open();
      session.send(query("select 1"), batch("select 2"), sync, terminate);
      await session.closed();
    },
  },
  {
    name: "a client that closes its half after the last query still gets the answer",
    async play({ open }: Stage) {
      const session = await open();
      session.send(query("select id, name from items, pg_sleep(0.05) where id < 100"));
      session.socket.end();
      await session.closed();
    },
  },
  {
    name: "Terminate inside a transaction, and bytes after it",
    async play({ open }: Stage) {
      const session = await open();
      session.send(query("begin; insert into inbox values (1)"));
      await session.until("Z");
      session.send(terminate, query("select 'nobody hears'"));
      await session.closed();
    },
  },
];

/** Reads that take longer than any test, and that run on a shadow as well. */
export const ENDLESS =
  "select sum(a.id + b.id + c.id + d.id) from items a, items b, items c, items d";

/** It has run for a while: whatever the server says at its beginning has been said. */
const busy = (name: string): string =>
  `select count(*) = 1 from pg_stat_activity where application_name = '${name}' and state = 'active'
   and query = '${ENDLESS}' and query_start < clock_timestamp() - interval '100 ms'`;

/** Cancelling is a matter of both ends; `minor` is the protocol's. */
export function cancelling(minor: number): Conversation {
  return {
    name: `cancel by protocol 3.${minor}`,
    async play({ open, cancel, until }: Stage) {
      const parameters = [["application_name", "cancelled"]] as const;
      const session = await open({ parameters, minor });
      session.send(batch(ENDLESS), sync, query("select 'behind it'"));
      await until(busy("cancelled"));
      await cancel(session.key);
      await session.until("EZZ");
      session.send(query("begin"), query(ENDLESS));
      await session.until("Z");
      await until(busy("cancelled"));
      const { processId, secretKey } = session.key;
      await cancel({ processId, secretKey: Buffer.alloc(secretKey.length, 7) });
      await cancel({ processId: processId + 1, secretKey });
      await until(busy("cancelled"));
      await cancel(session.key);
      await session.until("EZ");
      session.send(query("rollback"));
      await session.until("Z");
      await cancel(session.key); // idle: nothing happens
      session.send(terminate);
      await session.closed();
    },
  };
}

const ahead = 10_000;

const floods: readonly Conversation[] = [
  talk(
    "thousands of requests sent ahead",
    Buffer.concat(Array.from({ length: ahead }, (_, n) => query(`select ${n}`))),
    "Z".repeat(ahead),
    Buffer.concat(Array.from({ length: ahead }, () => batch("select 1"))),
    synced,
  ),
];

const endVictim =
  "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'";

const endings: readonly Conversation[] = [
  {
    name: "the server ends an idle session",
    async play({ open, ask }: Stage) {
      const session = await open({ parameters: [["application_name", "victim"]] });
      await ask(endVictim);
      await session.closed();
    },
  },
  {
    name: "the server ends a session in the middle of a transaction and a query",
    async play({ open, ask, until }: Stage) {
      const session = await open({ parameters: [["application_name", "victim"]] });
      session.send(query("begin; select 1"), query(ENDLESS));
      await until(busy("victim"));
      await ask(endVictim);
      await session.closed();
    },
  },
];

export const rare: readonly Conversation[] = [...beginnings, cancelling(0), ...floods, ...endings];
