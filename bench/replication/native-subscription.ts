import type { ApplySide } from "../../test/replication/apply-pair.ts";
import { until } from "./until.ts";

/** One at a time: it is named `native` on both servers, and so is its slot. @param options as in SQL */
export async function createSubscription(
  target: ApplySide,
  source: ApplySide,
  publication: string,
  options: string,
): Promise<void> {
  await target.sql(
    `CREATE SUBSCRIPTION native CONNECTION '${source.url}' PUBLICATION ${publication} WITH (${options})`,
  );
}

export async function startSubscription(target: ApplySide): Promise<void> {
  await target.sql("ALTER SUBSCRIPTION native ENABLE");
}

export async function stopSubscription(target: ApplySide): Promise<void> {
  await target.sql("ALTER SUBSCRIPTION native DISABLE");
  await until(async () => {
    const workers = await target.sql("SELECT 1 FROM pg_stat_subscription WHERE pid IS NOT NULL");
    return workers.length === 0;
  });
}

export async function dropSubscription(target: ApplySide): Promise<void> {
  await target.sql("DROP SUBSCRIPTION native");
}
