/**
 * The application of the demo: shops that place orders, each with a client that asks in its own way, and an
 * auditor who now and then says what PostgreSQL 14 and 16 are known to answer differently. All it knows of
 * the world is one connection string. It never connects a second time: a lost connection is an error.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Client, DatabaseError } from "pg";
import { messageOf } from "../../base/errors.ts";
import { openLatencyHistogram } from "../../metrics/latency-histogram.ts";
import type { LatencyHistogram } from "../../metrics/latency-histogram.ts";
import { DIFFERENCES } from "./differences.ts";
import type { Difference } from "./differences.ts";
import { ANSWER_DEADLINE_MS, connectShop } from "./shop-connection.ts";
import type { AskingStyle } from "./shop-connection.ts";
import { openShop } from "./shop.ts";
import type { Shop } from "./shop.ts";

/** What the application has seen so far. */
export type ApplicationStats = {
  readonly clients: number;
  /** Requests answered. */
  readonly answers: number;
  /** Committed orders. */
  readonly orders: number;
  /** Orders rolled back on purpose. */
  readonly cancelled: number;
  readonly errors: number;
  /** The first few errors in words. */
  readonly firstErrors: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
};

export type Application = {
  stats(): ApplicationStats;
  /** Lets every client finish what it does and audit its books, then closes all connections. */
  stop(): Promise<void>;
};

export type ApplicationOptions = {
  readonly url: string;
  /** How long a client does nothing between two pieces of business, on average. */
  readonly thinkMs: number;
  /** How long the auditor waits between two statements. */
  readonly auditorMs: number;
};

type ShopPlan = { readonly style: AskingStyle; readonly timeZone: string };

const PLANS: readonly ShopPlan[] = [
  { style: "simple", timeZone: "Europe/Zurich" },
  { style: "several statements", timeZone: "Asia/Tokyo" },
  { style: "parameters", timeZone: "America/Sao_Paulo" },
  { style: "prepared", timeZone: "Europe/Warsaw" },
  { style: "pipelined", timeZone: "Europe/Athens" },
  { style: "prepared", timeZone: "UTC" },
];

const KEPT_ERRORS = 5;

/** What all clients share: the wish to stop, the times and the errors. */
type Floor = {
  stopping: boolean;
  errors: number;
  readonly firstErrors: string[];
  readonly latencies: LatencyHistogram;
};

/** Connects all clients and lets them begin. @throws when one cannot connect. */
export async function startApplication(options: ApplicationOptions): Promise<Application> {
  const latencies = openLatencyHistogram();
  const floor: Floor = { stopping: false, errors: 0, firstErrors: [], latencies };
  const auditor = await connectAuditor(options.url);
  const opened = await Promise.all(
    PLANS.map((plan, index) => openFor(plan, index + 1, options.url, floor)),
  );
  const running = [
    ...opened.map((each, index) =>
      untilTheEnd(`shop ${index + 1}`, floor, each.close, () =>
        runShop(each.shop, options.thinkMs, floor),
      ),
    ),
    untilTheEnd(
      "auditor",
      floor,
      () => auditor.end(),
      () => runAuditor(auditor, options.auditorMs, floor),
    ),
  ];
  const shops = opened.map((each) => each.shop);
  return {
    stats: () => statsOf(shops, floor, running.length),
    async stop(): Promise<void> {
      floor.stopping = true;
      await Promise.allSettled(running);
    },
  };
}

async function openFor(
  plan: ShopPlan,
  shop: number,
  url: string,
  floor: Floor,
): Promise<{ readonly shop: Shop; readonly close: () => Promise<void> }> {
  const connection = await connectShop(plan.style, {
    url,
    applicationName: `shop ${shop} (${plan.style})`,
    latencies: floor.latencies,
  });
  const random = seededRandom(shop);
  const now = (): Date => new Date();
  const opened = openShop({
    shop,
    timeZone: plan.timeZone,
    since: now(),
    connection,
    random,
    now,
  });
  await opened.open();
  return { shop: opened, close: () => connection.close() };
}

async function runShop(shop: Shop, thinkMs: number, floor: Floor): Promise<void> {
  while (!floor.stopping) {
    await shop.serve();
    await delay(thinkMs * (0.5 + Math.random()));
  }
  await shop.audit();
}

async function connectAuditor(url: string): Promise<Client> {
  const client = new Client({
    connectionString: url,
    application_name: "auditor",
    query_timeout: ANSWER_DEADLINE_MS,
  });
  client.on("error", () => {}); // the next statement fails and says why
  await client.connect();
  return client;
}

async function runAuditor(client: Client, pauseMs: number, floor: Floor): Promise<void> {
  for (let turn = 0; !floor.stopping; turn++) {
    const difference = DIFFERENCES[turn % DIFFERENCES.length];
    if (difference !== undefined) await audit(client, difference);
    await delay(pauseMs);
  }
}

/** Errors are what some of the differences are about; any other error is the application's. */
async function audit(client: Client, difference: Difference): Promise<void> {
  try {
    await client.query({ text: difference.statement, values: [...(difference.values ?? [])] });
  } catch (error) {
    const code = error instanceof DatabaseError ? `error ${error.code}` : undefined;
    if (code === undefined || (code !== difference.old && code !== difference.new)) throw error;
  }
}

/** A client's first error is its last: going on could hide that something was lost. */
async function untilTheEnd(
  who: string,
  floor: Floor,
  close: () => Promise<void>,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    fail(floor, who, error);
  } finally {
    await close();
  }
}

function fail(floor: Floor, who: string, error: unknown): void {
  floor.errors++;
  const code = error instanceof DatabaseError ? ` (${error.code})` : "";
  if (floor.firstErrors.length < KEPT_ERRORS) {
    floor.firstErrors.push(`${who}: ${messageOf(error)}${code}`);
  }
}

function statsOf(shops: readonly Shop[], floor: Floor, clients: number): ApplicationStats {
  const sum = (pick: (shop: Shop) => number): number =>
    shops.reduce((total, shop) => total + pick(shop), 0);
  return {
    clients,
    answers: floor.latencies.count,
    orders: sum((shop) => shop.books.orders),
    cancelled: sum((shop) => shop.books.cancelled),
    errors: floor.errors,
    firstErrors: floor.firstErrors,
    p50Ms: floor.latencies.quantileMs(0.5) ?? 0,
    p99Ms: floor.latencies.quantileMs(0.99) ?? 0,
    maxMs: floor.latencies.quantileMs(1) ?? 0,
  };
}

/** The same numbers in [0, 1) for the same seed, well enough mixed for a workload (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
