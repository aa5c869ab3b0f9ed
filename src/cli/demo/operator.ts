/** What the demo's operator does with Twinwire's admin API, as anybody's script would. */
import { setTimeout as delay } from "node:timers/promises";
import type { AttemptItem, DivergenceItem, MigrationStatus, Page } from "../../admin/ports.ts";
import type { Side } from "../../routing/side.ts";
import { openAdminClient } from "../admin-client.ts";

/** @throws every method, when Twinwire does not answer or refuses. */
export type Operator = {
  status(): Promise<MigrationStatus>;
  /** All of them, page by page. */
  divergences(): Promise<DivergenceItem[]>;
  /** Moves the traffic and follows the attempt to its end, whatever that is. */
  switchTo(side: Side): Promise<AttemptItem>;
};

const PAGE = 100;
const LOOK_MS = 50;
const ATTEMPT_DEADLINE_MS = 30_000;

/** @param admin host and port of the admin API. */
export function openOperator(admin: string, migration: string): Operator {
  const api = openAdminClient({ admin });
  const root = `/api/v1/migrations/${encodeURIComponent(migration)}`;
  return {
    status: () => api.get<MigrationStatus>(root),
    async divergences(): Promise<DivergenceItem[]> {
      const items: DivergenceItem[] = [];
      let after: string | null = null;
      do {
        const cursor: string = after === null ? "" : `&after=${encodeURIComponent(after)}`;
        const page: Page<DivergenceItem> = await api.get(
          `${root}/divergences?limit=${PAGE}${cursor}`,
        );
        items.push(...page.items);
        after = page.next;
      } while (after !== null);
      return items;
    },
    async switchTo(side): Promise<AttemptItem> {
      let attempt = await api.post<AttemptItem>(`${root}/route`, { primary: side });
      const deadline = Date.now() + ATTEMPT_DEADLINE_MS;
      while (attempt.state === "running" && Date.now() < deadline) {
        await delay(LOOK_MS);
        attempt = await api.get<AttemptItem>(`${root}/attempts/${encodeURIComponent(attempt.id)}`);
      }
      return attempt;
    },
  };
}
