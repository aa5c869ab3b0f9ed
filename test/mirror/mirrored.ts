import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type {
  AttemptItem,
  DivergenceItem,
  FingerprintItem,
  MigrationStatus,
  Page,
} from "../../src/admin/ports.ts";
import { openAdminClient } from "../../src/cli/admin-client.ts";
import type { AdminClient } from "../../src/cli/admin-client.ts";
import type { Side } from "../../src/routing/side.ts";
import { startTwinwire } from "../twinwire.ts";
import type { RunningTwinwire } from "../twinwire.ts";
import { DATABASE, PASSWORD, USER } from "./two-sides.ts";
import type { TwoSides } from "./two-sides.ts";

const NAME = "shop";
const ROOT = `/api/v1/migrations/${NAME}`;
const DEADLINE_MS = 20_000;
const LOOK_MS = 10;

/** Twinwire in front of two sides, with one migration. */
export type Mirrored = RunningTwinwire & {
  readonly api: AdminClient;
  readonly connection: string;
  /** A connected client; everything still open is ended by `stop`. */
  client(options?: pg.ClientConfig): Promise<pg.Client>;
  status(): Promise<MigrationStatus>;
  /** The status once every mirrored exchange has its verdict. */
  judged(): Promise<MigrationStatus>;
  divergences(): Promise<readonly DivergenceItem[]>;
  fingerprints(): Promise<readonly FingerprintItem[]>;
  /** Asks for a switch and follows it to its end. */
  switchTo(side: Side): Promise<AttemptItem>;
  attemptEnd(begun: AttemptItem): Promise<AttemptItem>;
};

export type MirroredOptions = {
  /** Merged into the migration's configuration. */
  readonly migration?: Readonly<Record<string, unknown>>;
  /** Merged into the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
};

/** The migration's configuration as the file holds it. Clients are trusted, so raw ones can log in too. */
export function migrationConfig(
  sides: TwoSides,
  { compare = {}, ...more }: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const endpoint = (side: Side): Record<string, string> => ({
    url: sides[side].url(DATABASE, USER, PASSWORD),
    admin: sides[side].url(DATABASE),
  });
  return {
    name: NAME,
    listen: { protocol: "postgres", address: "127.0.0.1:0" },
    old: endpoint("old"),
    new: endpoint("new"),
    auth: { trust: true },
    ...more,
    // Nothing tells how far a shadow is that nobody fills, so a difference has to last.
    compare: { recheck: { patience: "100ms", per_minute: 6000 }, ...Object(compare) },
  };
}

export async function startMirrored(
  sides: TwoSides,
  options: MirroredOptions = {},
): Promise<Mirrored> {
  const migrations = [migrationConfig(sides, options.migration)];
  const twinwire = await startTwinwire({ migrations, ...options.config });
  const api = openAdminClient({ admin: twinwire.admin });
  const connection = twinwire.url(NAME, USER, PASSWORD, DATABASE);
  const clients = new Set<pg.Client>();
  const status = (): Promise<MigrationStatus> => api.get<MigrationStatus>(ROOT);
  const attemptEnd = (begun: AttemptItem): Promise<AttemptItem> =>
    until("the attempt's end", async () => {
      const path = `${ROOT}/attempts/${encodeURIComponent(begun.id)}`;
      const attempt = await api.get<AttemptItem>(path);
      return attempt.state === "running" ? undefined : attempt;
    });
  return {
    ...twinwire,
    api,
    connection,
    async client(config = {}) {
      const client = new pg.Client({ connectionString: connection, ...config });
      client.on("error", () => {}); // a connection that is ended on purpose
      await client.connect();
      clients.add(client);
      client.once("end", () => clients.delete(client));
      return client;
    },
    status,
    judged: () =>
      until("verdicts of everything mirrored", async () => {
        const now = await status();
        const { match, tolerated, divergent, incomparable } = now.verdicts;
        const verdicts = match + tolerated + divergent + incomparable;
        return now.exchanges.mirrored === verdicts ? now : undefined;
      }),
    divergences: () => allItems<DivergenceItem>(api, `${ROOT}/divergences`),
    fingerprints: () => allItems<FingerprintItem>(api, `${ROOT}/fingerprints`),
    switchTo: async (side) =>
      attemptEnd(await api.post<AttemptItem>(`${ROOT}/route`, { primary: side })),
    attemptEnd,
    async stop(asked) {
      await Promise.all([...clients].map((client) => client.end().catch(() => {})));
      return twinwire.stop(asked);
    },
  };
}

async function allItems<Item>(api: AdminClient, path: string): Promise<readonly Item[]> {
  const items: Item[] = [];
  let after: string | null = null;
  do {
    const cursor: string = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    const page: Page<Item> = await api.get<Page<Item>>(`${path}?limit=100${cursor}`);
    items.push(...page.items);
    after = page.next;
  } while (after !== null);
  return items;
}

/** Waits until `look` finds something. @throws naming `what`, with the last failure, when it never does. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  let failure: unknown;
  while (Date.now() < deadline) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      failure = error;
    }
    await delay(LOOK_MS);
  }
  throw new Error(`waited in vain for ${what}`, { cause: failure });
}
