import t from "tap";
import type { TransactionalState } from "../../src/routing/session-state.ts";
import { applyEffect, NEW_SESSION, pinnedBy, settle } from "../../src/routing/session-state.ts";
import type { SessionEffect } from "../../src/sql/statement.ts";

const BEGIN: SessionEffect = { type: "begin", access: undefined };
const COMMIT: SessionEffect = { type: "commit", chain: false };
const ROLLBACK: SessionEffect = { type: "rollback", chain: false };
const set = (name: string, value: string, local = false): SessionEffect => ({
  type: "set",
  name,
  local,
  sql: `SET ${name} TO ${value}`,
});
const savepoint = (name: string): SessionEffect => ({ type: "savepoint", name });
const rollbackTo = (name: string): SessionEffect => ({ type: "rollback_to", name });
const release = (name: string): SessionEffect => ({ type: "release", name });

function after(effects: readonly SessionEffect[], written: readonly string[] = []) {
  return effects.reduce(
    (state: TransactionalState, effect) => applyEffect(state, effect, written),
    NEW_SESSION,
  );
}

await t.test("settings follow transactions and savepoints", async (test) => {
  const rows: {
    readonly why: string;
    readonly effects: readonly SessionEffect[];
    readonly settings: readonly string[];
  }[] = [
    { why: "a SET outside a transaction lasts", effects: [set("a", "1")], settings: ["a 1"] },
    { why: "the last SET wins", effects: [set("a", "1"), set("a", "2")], settings: ["a 2"] },
    { why: "COMMIT keeps it", effects: [BEGIN, set("a", "1"), COMMIT], settings: ["a 1"] },
    { why: "ROLLBACK undoes it", effects: [BEGIN, set("a", "1"), ROLLBACK], settings: [] },
    {
      why: "ROLLBACK returns to what was before",
      effects: [set("a", "1"), BEGIN, set("a", "2"), ROLLBACK],
      settings: ["a 1"],
    },
    { why: "SET LOCAL does not last", effects: [BEGIN, set("a", "1", true), COMMIT], settings: [] },
    {
      why: "ROLLBACK TO undoes what came after the savepoint",
      effects: [BEGIN, set("a", "1"), savepoint("s"), set("a", "2"), rollbackTo("s"), COMMIT],
      settings: ["a 1"],
    },
    {
      why: "the savepoint stays after ROLLBACK TO",
      effects: [
        BEGIN,
        savepoint("s"),
        set("a", "1"),
        rollbackTo("s"),
        set("a", "2"),
        rollbackTo("s"),
        COMMIT,
      ],
      settings: [],
    },
    {
      why: "RELEASE keeps the changes",
      effects: [BEGIN, savepoint("s"), set("a", "1"), release("s"), COMMIT],
      settings: ["a 1"],
    },
    {
      why: "savepoints of one name shadow each other",
      effects: [
        BEGIN,
        savepoint("s"),
        set("a", "1"),
        savepoint("s"),
        set("a", "2"),
        rollbackTo("s"),
        COMMIT,
      ],
      settings: ["a 1"],
    },
    {
      why: "RESET forgets one",
      effects: [set("a", "1"), set("b", "1"), { type: "reset", name: "a" }],
      settings: ["b 1"],
    },
    {
      why: "RESET ALL spares who the session acts as",
      effects: [set("a", "1"), set("role", "x"), { type: "reset_all" }],
      settings: ["role x"],
    },
    {
      why: "SET SESSION AUTHORIZATION undoes SET ROLE",
      effects: [set("role", "x"), set("session_authorization", "y")],
      settings: ["session_authorization y"],
    },
    {
      why: "DISCARD ALL forgets everything",
      effects: [set("a", "1"), { type: "discard", target: "all" }],
      settings: [],
    },
    {
      why: "COMMIT AND CHAIN begins anew from what was committed",
      effects: [BEGIN, set("a", "1"), { type: "commit", chain: true }, set("a", "2"), ROLLBACK],
      settings: ["a 1"],
    },
  ];
  for (const { why, effects, settings } of rows) {
    const expected = settings.map((text) => `SET ${text.replace(" ", " TO ")}`);
    test.strictSame([...after(effects).current.settings.values()], expected, why);
  }
});

await t.test("a server that says no transaction is open ends it here too", async (test) => {
  const open = after([BEGIN, set("a", "1")]);
  test.equal(settle(open, true).current.settings.size, 0);
  test.equal(settle(open, false).current.settings.size, 1);
  test.equal(settle(open, true).before, undefined);
});

await t.test("what cannot be moved pins the session, what is undone does not", async (test) => {
  const temporary: SessionEffect = { type: "temporary_table" };
  const rows: {
    readonly effects: readonly SessionEffect[];
    readonly written?: readonly string[];
    readonly pin: ReturnType<typeof pinnedBy>;
  }[] = [
    { effects: [], pin: undefined },
    { effects: [set("a", "1")], pin: undefined },
    { effects: [temporary], written: ["scratch"], pin: "temporary_table" },
    { effects: [temporary], pin: "temporary_table" },
    { effects: [BEGIN, temporary, ROLLBACK], written: ["scratch"], pin: undefined },
    { effects: [temporary, { type: "discard", target: "temp" }], pin: undefined },
    { effects: [{ type: "advisory_lock" }], pin: "advisory_lock" },
    { effects: [BEGIN, { type: "advisory_lock" }, ROLLBACK], pin: "advisory_lock" },
    { effects: [{ type: "listen", channel: "c" }], pin: "listen" },
    {
      effects: [
        { type: "listen", channel: "c" },
        { type: "unlisten", channel: undefined },
      ],
      pin: undefined,
    },
    { effects: [BEGIN, { type: "listen", channel: "c" }, ROLLBACK], pin: undefined },
    { effects: [{ type: "declare_cursor", name: "c", hold: true }], pin: "held_cursor" },
    { effects: [{ type: "declare_cursor", name: "c", hold: false }], pin: undefined },
    {
      effects: [
        { type: "declare_cursor", name: "c", hold: true },
        { type: "close_cursor", name: "c" },
      ],
      pin: undefined,
    },
  ];
  for (const { effects, written, pin } of rows) {
    test.equal(pinnedBy(after(effects, written)), pin, JSON.stringify(effects));
  }
});
