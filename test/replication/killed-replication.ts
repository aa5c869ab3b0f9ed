import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import t from "tap";
import type { Failpoint } from "../../src/replication/failpoints.ts";
import { until } from "../mirror/mirrored.ts";
import { startTwoSides } from "../mirror/two-sides.ts";
import type { TwoSides } from "../mirror/two-sides.ts";
import { inStep, startReplicating } from "./replicating.ts";
import type { Replicating } from "./replicating.ts";

const SPOOLED: Failpoint = "stream.transaction_spooled";
const TABLES = ["ledger", "accounts", "back"];
const ACCOUNTS = 3_000;

/** Clients that write through Twinwire, each remembering what was acknowledged. */
class Writers {
  readonly acknowledged: number[] = [];
  #stopped = false;
  readonly #running: Promise<void>[];

  constructor(twinwire: Replicating, count: number) {
    this.#running = Array.from({ length: count }, (_none, client) => this.#write(twinwire, client));
  }

  async #write(twinwire: Replicating, client: number): Promise<void> {
    const connection = await twinwire.client();
    for (let number = 0; !this.#stopped; number++) {
      await connection.query("begin");
      await connection.query("insert into ledger values ($1, $2)", [client, number]);
      await connection.query("update accounts set n = n + 1 where id = $1", [
        1 + ((number * 37 + client) % ACCOUNTS),
      ]);
      await connection.query("commit");
      this.acknowledged[client] = number + 1;
    }
    await connection.end();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }
}

/**
 * Kills the process that replicates at each of the failpoints, while clients write through Twinwire and NEW is written to as
 * well; the next process has to go on. In the end both databases are equal and hold every write that was acknowledged.
 */
export async function killAtEach(failpoints: readonly Failpoint[]): Promise<void> {
  t.setTimeout(0);
  const folder = mkdtempSync(join(tmpdir(), "twinwire-failpoints-"));
  const order = join(folder, "next");
  process.env["TWINWIRE_FAILPOINT_FILE"] = order;
  const sides = await startTwoSides();
  await makeTables(sides);
  const twinwire = await startReplicating(sides, {
    migration: {
      replication: {
        managed: true,
        tables: ["public.*"],
        copy: { chunk: "256KiB" },
        spool: { memory: "1MiB" },
      },
    },
  });
  t.teardown(async () => {
    await twinwire.stop();
    await sides.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const writers = new Writers(twinwire, 3);
  let back = 0;
  for (const failpoint of failpoints) {
    await t.test(`killed at ${failpoint}`, { timeout: 60_000 }, async (test) => {
      await killedAt(failpoint, sides, twinwire, order);
      await sides.on("new", `insert into back values (${back}, 0); update back set n = n + 1`);
      back++;
      await until("what was written on NEW", async () => {
        const [row] = await sides.on("old", "select count(*)::int as n from back");
        return row?.["n"] === back;
      });
      test.pass("and went on");
    });
  }
  await t.test("nothing is lost and nothing there twice", { timeout: 60_000 }, async (test) => {
    await writers.stop();
    await inStep(sides, TABLES);
    for (const side of ["old", "new"] as const) {
      const rows = await sides.on(
        side,
        "select count(*)::int as n from ledger group by client order by client",
      );
      test.same(
        rows.map(({ n }) => n),
        writers.acknowledged,
      );
      const [sum] = await sides.on(side, "select sum(n)::int as n from accounts");
      test.equal(
        sum?.["n"],
        writers.acknowledged.reduce((all, each) => all + each, 0),
      );
    }
  });
}

async function makeTables(sides: TwoSides): Promise<void> {
  await sides.both(`
    create table ledger (client int, number int, primary key (client, number));
    create table accounts (id int primary key, n bigint not null, note text);
    create table back (id int primary key, n int);
    grant all on all tables in schema public to app`);
  await sides.on(
    "old",
    `insert into accounts select i, 0, repeat('x', 3000) from generate_series(1, ${ACCOUNTS}) as i`,
  );
}

async function killedAt(
  failpoint: Failpoint,
  sides: TwoSides,
  twinwire: Replicating,
  order: string,
): Promise<void> {
  const deaths = (): number => twinwire.log().split("the replication process ended").length - 1;
  await twinwire.stopReplication();
  if (/^(setup|snapshot)/.test(failpoint)) await forget(sides);
  const before = deaths();
  const isRepeated = /^(apply|stream)/.test(failpoint) && failpoint !== SPOOLED;
  writeFileSync(order, isRepeated ? `${failpoint}:3` : failpoint);
  await twinwire.api.post("/api/v1/migrations/shop/replication/start");
  if (failpoint === SPOOLED)
    await sides.on("old", "update accounts set note = repeat(md5(n::text), 200)");
  await until("its death", () => deaths() > before);
  await twinwire.phase("streaming");
}

/** Nothing of Twinwire's is left on either side, and NEW is empty. */
async function forget(sides: TwoSides): Promise<void> {
  for (const side of ["old", "new"] as const) {
    await until("slots to be free", async () => {
      await sides.on(
        side,
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots
         where database = current_database() and not active`,
      );
      const left = "select 1 from pg_replication_slots where database = current_database()";
      return (await sides.on(side, left)).length === 0;
    });
    for (const { pubname } of await sides.on(side, "select pubname from pg_publication"))
      await sides.on(side, `drop publication "${String(pubname)}"`);
    await sides.on(
      side,
      `drop event trigger if exists twinwire_ddl_end;
       drop event trigger if exists twinwire_ddl_drop;
       drop schema if exists twinwire cascade`,
    );
  }
  await sides.on("new", `truncate ${TABLES.join(", ")}`);
}
