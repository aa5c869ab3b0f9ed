import type { ReplicationItem } from "../../src/admin/ports.ts";
import type { Side } from "../../src/routing/side.ts";
import type { Mirrored, MirroredOptions } from "../mirror/mirrored.ts";
import { startMirrored, until } from "../mirror/mirrored.ts";
import type { TwoSides } from "../mirror/two-sides.ts";

const ROOT = "/api/v1/migrations/shop/replication";

/** Twinwire in front of two sides of which it fills the second. */
export type Replicating = Mirrored & {
  replication(): Promise<ReplicationItem>;
  /** Starts it and waits until NEW is in step. */
  startReplication(): Promise<ReplicationItem>;
  stopReplication(): Promise<ReplicationItem>;
  /** Once it is in a phase. @throws when it fails on the way */
  phase(wanted: string): Promise<ReplicationItem>;
};

export async function startReplicating(
  sides: TwoSides,
  { migration = {}, ...options }: MirroredOptions = {},
): Promise<Replicating> {
  const twinwire = await startMirrored(sides, {
    ...options,
    migration: { replication: { managed: true, tables: ["public.*"] }, ...migration },
  });
  const replication = (): Promise<ReplicationItem> => twinwire.api.get<ReplicationItem>(ROOT);
  const phase = (wanted: string): Promise<ReplicationItem> =>
    until(`replication to be ${wanted}`, async () => {
      const item = await replication();
      if (item.phase === "failed" && wanted !== "failed")
        throw new Error(`replication failed: ${item.detail}`);
      return item.phase === wanted ? item : undefined;
    });
  return {
    ...twinwire,
    replication,
    phase,
    async startReplication() {
      await twinwire.api.post(`${ROOT}/start`);
      return await phase("streaming");
    },
    stopReplication: () => twinwire.api.post<ReplicationItem>(`${ROOT}/stop`),
  };
}

/** What a table holds on a side, whatever the order: the number of its rows and a digest of them. */
export async function contents(sides: TwoSides, side: Side, table: string): Promise<string> {
  const [row] = await sides.on(
    side,
    `select count(*) || ' ' || coalesce(md5(string_agg(r, e'\\n' order by r)), '') as all
     from (select t::text collate "C" as r from ${table} as t) as rows`,
  );
  return String(row?.["all"]);
}

/** Waits until tables hold the same on both sides; otherwise says which do not. */
export async function inStep(sides: TwoSides, tables: readonly string[]): Promise<void> {
  let different: readonly string[] = tables;
  try {
    await until("both sides to hold the same", async () => {
      const all = await Promise.all(
        tables.map(async (table) => {
          const [old, fresh] = await Promise.all([
            contents(sides, "old", table),
            contents(sides, "new", table),
          ]);
          return old === fresh ? [] : [`${table}: ${old} and ${fresh}`];
        }),
      );
      different = all.flat();
      return different.length === 0;
    });
  } catch (error) {
    throw new Error(`the sides differ: ${different.join("; ")}`, { cause: error });
  }
}
