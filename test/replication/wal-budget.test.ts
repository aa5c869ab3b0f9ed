import tap from "tap";
import { giveUpSlot, judgeBudget } from "../../src/replication/protection/wal-budget.ts";
import type { TimedLook } from "../../src/replication/protection/wal-budget.ts";
import type { Ask } from "../../src/replication/read-shapes.ts";
import { lookAtSlot } from "../../src/replication/source/slot-state.ts";
import { startPair } from "./doctor-pair.ts";

const MB = 1_000_000;

async function lookAt(ask: Ask, atMs: number): Promise<TimedLook> {
  return { ...(await lookAtSlot(ask, "twinwire_a")), atMs };
}

void tap.test(
  "the log that is kept has a budget, and what happened to a slot is named",
  async (t) => {
    const pair = await startPair(
      {
        major: 14,
        settings: { max_slot_wal_keep_size: "48MB", min_wal_size: "32MB", max_wal_size: "32MB" },
      },
      { major: 18 },
    );
    t.teardown(() => pair.stop());
    for (const side of ["old", "new"] as const) {
      const client = pair.admin(side);
      const ask = client.query.bind(client);
      const the = {
        slotName: "twinwire_a",
        known: undefined,
        before: undefined,
        budgetBytes: 20 * MB,
      };
      const none = await lookAt(ask, 0);
      t.equal(judgeBudget(none, the).kind, "fine");
      t.equal(judgeBudget(none, { ...the, known: none }).kind, "lost");
      await pair.run(
        side,
        "select pg_create_logical_replication_slot('twinwire_a', 'pgoutput')",
        "create table w (t text)",
      );
      const fresh = await lookAt(ask, 0);
      t.equal(judgeBudget(fresh, { ...the, known: none }).kind, "fine");
      await pair.run(side, "insert into w select repeat('x', 1000) from generate_series(1, 11000)");
      const half = await lookAt(ask, 2000);
      const warned = judgeBudget(half, { ...the, known: none, before: fresh });
      t.equal(warned.kind, "warn");
      t.match(
        warned.sentence,
        /keeps 1\d(\.\d)? MB of log of a budget of 20 MB.*, which is used up in about \d+ s at \d+(\.\d)? MB\/s$/,
      );
      await pair.run(side, "insert into w select repeat('x', 1000) from generate_series(1, 11000)");
      const full = await lookAt(ask, 4000);
      t.equal(judgeBudget(full, { ...the, known: none, before: half }).kind, "stop");
      t.equal(
        judgeBudget({ ...full, systemIdentifier: "1" }, { ...the, known: none }).kind,
        "other_server",
      );
      t.equal(
        judgeBudget({ ...full, timeline: "0000000A" }, { ...the, known: none }).kind,
        "other_timeline",
      );
    }
    const old = pair.admin("old");
    await pair.run(
      "old",
      ...Array.from({ length: 4 }, () => [
        "insert into w select repeat('x', 1000) from generate_series(1, 30000)",
        "select pg_switch_wal()",
        "checkpoint",
      ]).flat(),
    );
    const lost = await lookAt(old.query.bind(old), 0);
    const verdict = judgeBudget(lost, {
      slotName: "twinwire_a",
      known: undefined,
      before: undefined,
      budgetBytes: 1e12,
    });
    t.equal(verdict.kind, "lost");
    t.match(
      verdict.sentence,
      /has given up the slot twinwire_a \(wal_removed\): .* needs a new copy/,
    );
    const ask = pair.admin("new").query;
    await giveUpSlot(ask, "twinwire_a");
    await giveUpSlot(ask, "twinwire_a");
    t.same(await ask("select count(*) from pg_replication_slots"), [["0"]]);
  },
);
