/**
 * One shop of the order system, on one connection. It writes only rows of its own and never reads rows
 * that another shop writes, so what it reads depends on nothing but its own past: every answer that
 * differs between the two databases is then a real difference, and every row it misses is a lost write.
 */
import { randomUUID } from "node:crypto";
import { CUSTOMERS_PER_SHOP, PRODUCTS } from "./schema.ts";
import type { Answer, ShopConnection } from "./shop-connection.ts";
import * as sql from "./statements.ts";
import { arrayText, step } from "./statements.ts";

/** What a shop has done; grows while it is open. */
export type ShopBooks = { orders: number; cents: number; cancelled: number };

export type ShopDeps = {
  readonly shop: number;
  readonly timeZone: string;
  /** Only orders from here on are in the books. */
  readonly since: Date;
  readonly connection: ShopConnection;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly now: () => Date;
};

export type Shop = {
  readonly books: ShopBooks;
  /** Settings of the session; to be called once, first. */
  open(): Promise<void>;
  /** Does one piece of business. @throws when an answer fails or is not what it must be. */
  serve(): Promise<void>;
  /** @throws when the database does not hold exactly what was booked, or the session lost its settings. */
  audit(): Promise<void>;
};

/** Opens shop number `deps.shop` with empty books. */
export function openShop(deps: ShopDeps): Shop {
  const till: Till = {
    ...deps,
    books: { orders: 0, cents: 0, cancelled: 0 },
    pick: (count) => Math.floor(deps.random() * count),
    latestOrder: undefined,
  };
  return {
    books: till.books,
    open: async () => void (await till.connection.ask([step(sql.SET_TIME_ZONE, deps.timeZone)])),
    serve: async () => BUSINESS[till.pick(BUSINESS.length)]?.(till),
    audit: () => audit(till),
  };
}

type Till = ShopDeps & {
  readonly books: ShopBooks;
  /** A whole number from 0 up to, but not including, `count`. */
  readonly pick: (count: number) => number;
  latestOrder: string | undefined;
};

/** What a shop does all day; twice in the list is twice as often. */
const BUSINESS: readonly ((till: Till) => Promise<void>)[] = [
  browse,
  browse,
  browse,
  order,
  order,
  follow,
  restock,
  report,
  audit,
];

async function browse({ shop, connection, pick }: Till): Promise<void> {
  const product = 1 + pick(PRODUCTS);
  const tag = ["coffee", "tea", "gift"][pick(3)] ?? "tea";
  await connection.ask([
    step(sql.PRODUCT_PAGE, product),
    step(sql.SEARCH_PRODUCTS, tag, (pick(20) / 10).toFixed(1)),
    step(sql.STOCK, shop, product),
    step(sql.CUSTOMER, shop, 1 + pick(CUSTOMERS_PER_SHOP)),
    step(sql.CUSTOMER_ORDERS, shop, 1 + pick(CUSTOMERS_PER_SHOP)),
  ]);
}

async function order(till: Till): Promise<void> {
  const { shop, pick, books } = till;
  const id = randomUUID();
  const cancelled = pick(12) === 0;
  const at = till.now().toISOString();
  const products = productsOf(1 + pick(3), pick);
  const quantities = products.map(() => 1 + pick(3));
  const answers = await till.connection.ask([
    step(sql.BEGIN),
    step(sql.INSERT_ORDER, id, shop, 1 + pick(CUSTOMERS_PER_SHOP), "Bitte läuten – ありがとう", at),
    step(sql.INSERT_ITEMS, id, arrayText(products), arrayText(quantities)),
    step(sql.TAKE_STOCK, id, shop),
    step(sql.TOTAL_ORDER, id),
    step(sql.PAY, randomUUID(), id, pick(2) === 0 ? "card" : "invoice", at),
    step(cancelled ? sql.ROLLBACK : sql.COMMIT),
  ]);
  if (cancelled) {
    books.cancelled++;
    return;
  }
  books.orders++;
  books.cents += centsOf(answers[4], "total");
  till.latestOrder = id;
}

async function follow({ connection, pick, latestOrder }: Till): Promise<void> {
  if (latestOrder === undefined) return;
  const answers = await connection.ask([
    step(sql.ORDER_PAGE, latestOrder),
    step(sql.SET_STATUS, ["paid", "shipped"][pick(2)] ?? "paid", latestOrder),
  ]);
  if (answers[0]?.length === 0) throw new Error("An order that was committed is not there.");
}

async function restock({ shop, connection, pick, now }: Till): Promise<void> {
  await connection.ask([
    step(sql.RESTOCK, shop, 1 + pick(PRODUCTS), 1 + pick(5), now().toISOString()),
  ]);
}

async function report({ shop, connection, pick }: Till): Promise<void> {
  const statement = sql.REPORTS[pick(sql.REPORTS.length)];
  if (statement !== undefined) await connection.ask([step(statement, shop)]);
}

async function audit({ shop, connection, books, timeZone, since }: Till): Promise<void> {
  const [booked, zone] = await connection.ask([
    step(sql.BOOKED, shop, since.toISOString()),
    step(sql.SHOW_TIME_ZONE),
  ]);
  const orders = Number(booked?.[0]?.["orders"]);
  if (orders !== books.orders || centsOf(booked, "total") !== books.cents) {
    throw new Error(`The database holds ${orders} orders, the application placed ${books.orders}.`);
  }
  if (zone?.[0]?.["TimeZone"] !== timeZone) throw new Error("The session lost a setting.");
}

/** Different products in ascending order, as shops that lock stock in one order never deadlock. */
function productsOf(count: number, pick: (count: number) => number): number[] {
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(1 + pick(PRODUCTS));
  return [...chosen].sort((a, b) => a - b);
}

function centsOf(answer: Answer | undefined, column: string): number {
  return Math.round(Number(answer?.[0]?.[column]) * 100);
}
