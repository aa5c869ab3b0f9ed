import { DATABASE } from "./two-sides.ts";
import type { TwoSides } from "./two-sides.ts";
import { until } from "./mirrored.ts";

/** PostgreSQL's own replication from OLD to NEW, which can be held up. */
export type Subscription = {
  /** From now on NEW gets nothing. */
  hold(): Promise<void>;
  resume(): Promise<void>;
  /** NEW has everything that OLD has committed until now. */
  caughtUp(): Promise<void>;
  drop(): Promise<void>;
};

/** Replicates these tables, which exist on both sides; rows are copied first. */
export async function subscribe(sides: TwoSides, tables: readonly string[]): Promise<Subscription> {
  const { on } = sides;
  await on("old", `create publication feed for table ${tables.join(", ")}`);
  const publisher = sides.old.url(DATABASE);
  await on("new", `create subscription feed connection '${publisher}' publication feed`);
  await until("the first copy", async () => {
    const [row] = await on(
      "new",
      "select count(*)::int as left from pg_subscription_rel where srsubstate <> 'r'",
    );
    return row?.["left"] === 0;
  });
  const caughtUp = async (): Promise<void> => {
    const [now] = await on("old", "select pg_current_wal_lsn()::text as lsn");
    await until("NEW to catch up", async () => {
      const [slot] = await on(
        "old",
        `select confirmed_flush_lsn >= '${String(now?.["lsn"])}' as there
         from pg_replication_slots where slot_name = 'feed'`,
      );
      return slot?.["there"] === true;
    });
  };
  const isActive = async (active: boolean): Promise<void> => {
    await until(`the subscription to be ${active ? "at work" : "held up"}`, async () => {
      const [slot] = await on(
        "old",
        "select active from pg_replication_slots where slot_name = 'feed'",
      );
      return slot?.["active"] === active;
    });
  };
  return {
    async hold() {
      await on("new", "alter subscription feed disable");
      await isActive(false);
    },
    async resume() {
      await on("new", "alter subscription feed enable");
      await isActive(true);
    },
    caughtUp,
    async drop() {
      await on("new", "drop subscription feed");
      await on("old", "drop publication feed");
    },
  };
}
