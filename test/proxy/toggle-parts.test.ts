/** The small parts that a switch relies on, each alone. */
import fc from "fast-check";
import t from "tap";
import { CancelKeys } from "../../src/proxy/cancel-keys.ts";
import { ExchangeLog } from "../../src/proxy/exchange-log.ts";
import { Gate } from "../../src/proxy/gate.ts";
import { changedParameters } from "../../src/proxy/server-parameters.ts";
import { PreparedStatements } from "../../src/routing/prepared-statements.ts";
import { pinnedBy } from "../../src/routing/session-state.ts";
import { openAnalyser } from "../../src/sql/analyser.ts";
import { frame } from "./raw-messages.ts";

await t.test("a closed gate holds whoever comes, and opens for all at once", async (test) => {
  const gate = new Gate();
  await gate.whenOpen();
  let quiet = 0;
  gate.close(() => quiet++);
  let through = 0;
  const waiting = [1, 2, 3].map(async () => {
    await gate.whenOpen();
    through++;
  });
  gate.becameQuiet();
  test.equal(quiet, 1);
  await Promise.resolve();
  test.equal(through, 0);
  gate.open();
  // Closed again before anybody had a turn: they wait for the next time.
  gate.close(() => {});
  await Promise.resolve();
  await Promise.resolve();
  test.equal(through, 0);
  gate.open();
  await Promise.all(waiting);
  test.equal(through, 3);
  gate.becameQuiet();
  test.equal(quiet, 1, "an open gate tells nobody");
});

await t.test("a cancel key finds its owner, and no other key does", (test) => {
  test.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.nat(255), (other, seed) => {
        let next = seed;
        const keys = new CancelKeys<string>((bytes) =>
          Uint8Array.from({ length: bytes }, () => next++ % 251),
        );
        const mine = keys.issue("mine", 4);
        const theirs = keys.issue("theirs", 32);
        if (mine.processId === theirs.processId || mine.processId <= 0)
          throw new Error("not unique");
        if (theirs.secretKey.length !== 32) throw new Error("not as long as asked for");
        if (keys.find(mine.processId, mine.secretKey) !== "mine") throw new Error("not found");
        const differs = Buffer.compare(other, mine.secretKey) !== 0;
        if (differs && keys.find(mine.processId, other) !== undefined) throw new Error("guessed");
        if (keys.find(theirs.processId, mine.secretKey) !== undefined) throw new Error("mixed up");
        if (keys.find(mine.processId, mine.secretKey.subarray(0, 3)) !== undefined) {
          throw new Error("a part is enough");
        }
        keys.withdraw(mine.processId);
        if (keys.find(mine.processId, mine.secretKey) !== undefined)
          throw new Error("not withdrawn");
      }),
    ),
  );
  test.end();
});

await t.test("a client is told of the parameters that are different, and of no others", (test) => {
  const told = new Map([
    ["server_version", "14.1"],
    ["TimeZone", "UTC"],
  ]);
  const actual = new Map([
    ["server_version", "16.2"],
    ["TimeZone", "UTC"],
    ["in_hot_standby", "off"],
  ]);
  test.equal(
    changedParameters(told, actual).toString("latin1").replaceAll("\0", "|"),
    [frame("S", "server_version\u{0}16.2\u{0}"), frame("S", "in_hot_standby\u{0}off\u{0}")]
      .join("")
      .replaceAll("\0", "|"),
  );
  test.equal(changedParameters(actual, actual).length, 0);
  test.end();
});

const analyser = await openAnalyser();

/** A query and how the server answers it: tags, E for an error, and the status at its end. */
type Talk = readonly [sql: string, answer: string];

/** What has become of each query's transaction, and of the session. */
function hear(talks: readonly Talk[]): {
  readonly ends: readonly string[];
  readonly log: ExchangeLog;
} {
  const log = new ExchangeLog({
    prepared: new PreparedStatements(),
    copyBegan: () => {},
    copyEnded: () => {},
    forgotten: () => {},
  });
  const ends = talks.map(([sql, answer]) => {
    const bytes = Buffer.from(sql);
    const { statements } = analyser.analyse(bytes, 0, bytes.length);
    const nothing = { frames: undefined, bytes: 0, changes: [], bound: [] };
    const plain = { bare: false, closesCopy: false, obscure: false };
    log.send({ kind: "query", statements, ...nothing, ...plain }, undefined, 0);
    const words = answer.split("; ");
    const status = words.pop() ?? "I";
    for (const word of words) {
      const said = word === "E" ? frame("E", "\0") : frame("C", `${word}\0`);
      log.take(said[0] ?? 0, said, 0, said.length);
    }
    const ready = frame("Z", status);
    const answered = log.take(0x5a, ready, 0, ready.length);
    const committed = answered?.committed === true ? " and commits" : "";
    return `${answered?.outcome ?? "unanswered"}${committed}`;
  });
  return { ends, log };
}

const TALKS: readonly {
  readonly why: string;
  readonly talks: readonly Talk[];
  readonly ends: readonly string[];
  readonly settings?: readonly string[];
}[] = [
  {
    why: "a statement by itself commits itself, or nothing",
    talks: [
      ["insert into a values (1)", "INSERT 0 1; I"],
      ["insert into a values (1)", "E; I"],
    ],
    ends: ["committed", "rolled_back"],
  },
  {
    why: "a transaction ends with its last word",
    talks: [
      ["begin", "BEGIN; T"],
      ["set timezone = 'UTC'", "SET; T"],
      ["commit", "COMMIT; I"],
    ],
    ends: ["open", "open", "committed and commits"],
    settings: ["timezone"],
  },
  {
    why: "COMMIT of a failed transaction is a rollback",
    talks: [
      ["begin", "BEGIN; T"],
      ["set timezone = 'UTC'", "SET; T"],
      ["select 1/0", "E; E"],
      ["commit", "ROLLBACK; I"],
    ],
    ends: ["open", "open", "open", "rolled_back"],
    settings: [],
  },
  {
    why: "a chained transaction has committed, though another one is open",
    talks: [
      ["begin", "BEGIN; T"],
      ["set timezone = 'UTC'", "SET; T"],
      ["commit and chain", "COMMIT; T"],
      ["set datestyle = 'ISO'", "SET; T"],
      ["rollback", "ROLLBACK; I"],
    ],
    ends: ["open", "open", "open and commits", "open", "rolled_back"],
    settings: ["timezone"],
  },
  {
    why: "a query that commits and then rolls back has committed",
    talks: [
      [
        "begin; insert into a values (1); commit; begin; insert into a values (2); rollback",
        "BEGIN; INSERT 0 1; COMMIT; BEGIN; INSERT 0 1; ROLLBACK; I",
      ],
    ],
    ends: ["committed and commits"],
  },
  {
    why: "several statements are undone together",
    talks: [["set timezone = 'UTC'; select 1/0", "SET; E; I"]],
    ends: ["rolled_back"],
    settings: [],
  },
  {
    why: "what comes after the error of a query was not run",
    talks: [["select 1/0; set timezone = 'UTC'", "E; I"]],
    ends: ["rolled_back"],
    settings: [],
  },
];

for (const { why, talks, ends, settings = [] } of TALKS) {
  await t.test(why, (test) => {
    const heard = hear(talks);
    test.same(heard.ends, ends);
    test.same([...heard.log.state.current.settings.keys()], settings);
    test.ok(heard.log.idle);
    test.notOk(heard.log.confused);
    test.end();
  });
}

await t.test("what pins a session is forgotten with the transaction that it was in", (test) => {
  const { log } = hear([
    ["begin", "BEGIN; T"],
    ["create temp table mine (id int)", "CREATE TABLE; T"],
    ["listen news", "LISTEN; T"],
  ]);
  test.equal(pinnedBy(log.state), "temporary_table");
  const undone = hear([
    ["begin", "BEGIN; T"],
    ["create temp table mine (id int)", "CREATE TABLE; T"],
    ["listen news", "LISTEN; T"],
    ["rollback", "ROLLBACK; I"],
  ]);
  test.equal(pinnedBy(undone.log.state), undefined);
  const locked = hear([
    ["begin", "BEGIN; T"],
    ["select pg_advisory_lock(1)", "SELECT 1; T"],
    ["rollback", "ROLLBACK; I"],
  ]);
  test.equal(pinnedBy(locked.log.state), "advisory_lock", "no rollback gives that back");
  test.end();
});
