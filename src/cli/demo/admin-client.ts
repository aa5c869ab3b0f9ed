/** The few questions the demo puts to Twinwire's admin API, as any operator's script would. */
import { setTimeout as delay } from "node:timers/promises";
import type { AttemptItem, DivergenceItem, MigrationStatus, Page } from "../../admin/ports.ts";
import type { Side } from "../../routing/side.ts";

/** @throws every method, when Twinwire does not answer or answers with a problem. */
export type AdminClient = {
  status(): Promise<MigrationStatus>;
  /** All of them, page by page. */
  divergences(): Promise<DivergenceItem[]>;
  /** Moves the traffic and follows the attempt to its end, whatever that is. */
  switchTo(side: Side): Promise<AttemptItem>;
};

const PAGE = 100;
const REQUEST_DEADLINE_MS = 10_000;
const ATTEMPT_DEADLINE_MS = 30_000;

/** @param base the admin API's URL without a path, `http://127.0.0.1:9432`. */
export function openAdminClient(base: string, migration: string): AdminClient {
  const root = `${base}/api/v1/migrations/${encodeURIComponent(migration)}`;
  const get = <T>(path: string): Promise<T> => request<T>(`${root}${path}`, {});
  return {
    status: () => get<MigrationStatus>(""),
    async divergences(): Promise<DivergenceItem[]> {
      const items: DivergenceItem[] = [];
      let after: string | null = null;
      do {
        const cursor: string = after === null ? "" : `&after=${encodeURIComponent(after)}`;
        const page: Page<DivergenceItem> = await get(`/divergences?limit=${PAGE}${cursor}`);
        items.push(...page.items);
        after = page.next;
      } while (after !== null);
      return items;
    },
    async switchTo(side): Promise<AttemptItem> {
      const body = JSON.stringify({ primary: side });
      const headers = { "content-type": "application/json" };
      let attempt = await request<AttemptItem>(`${root}/route`, { method: "POST", headers, body });
      const deadline = Date.now() + ATTEMPT_DEADLINE_MS;
      while (attempt.state === "running" && Date.now() < deadline) {
        await delay(50);
        attempt = await get<AttemptItem>(`/attempts/${encodeURIComponent(attempt.id)}`);
      }
      return attempt;
    },
  };
}

async function request<T>(url: string, init: RequestInit): Promise<T> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_DEADLINE_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`Twinwire's admin API answered ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}
