/** Everything the shops of the demo say to their database; `$n` are filled in as each client's way of asking demands. */
import { OPENING } from "./schema.ts";

/** A statement with a name, which is also its name when a client prepares it. */
export type ShopStatement = { readonly name: string; readonly text: string };

/** A statement and its parameters, ready to be asked. */
export type Step = { readonly statement: ShopStatement; readonly values: readonly string[] };

export function step(statement: ShopStatement, ...values: readonly (string | number)[]): Step {
  return { statement, values: values.map(String) };
}

/** An array parameter in PostgreSQL's text form; the items hold neither commas nor braces. */
export function arrayText(items: readonly (string | number)[]): string {
  return `{${items.join(",")}}`;
}

export const BEGIN: ShopStatement = { name: "begin", text: "BEGIN" };
export const COMMIT: ShopStatement = { name: "commit", text: "COMMIT" };
export const ROLLBACK: ShopStatement = { name: "rollback", text: "ROLLBACK" };

export const SET_TIME_ZONE: ShopStatement = {
  name: "set_time_zone",
  text: "SET TIME ZONE $1",
};

export const SHOW_TIME_ZONE: ShopStatement = { name: "show_time_zone", text: "SHOW TimeZone" };

/** $1 product id */
export const PRODUCT_PAGE: ShopStatement = {
  name: "product_page",
  text: "SELECT id, sku, name, price, tags, attributes, thumbnail FROM products WHERE id = $1",
};

/** $1 tag, $2 lowest weight */
export const SEARCH_PRODUCTS: ShopStatement = {
  name: "search_products",
  text: `SELECT sku, name, price, attributes ->> 'origin' AS origin FROM products
    WHERE $1 = ANY (tags) AND (attributes ->> 'weight')::numeric >= $2::numeric ORDER BY price, id LIMIT 20`,
};

/** $1 shop, $2 customer number */
export const CUSTOMER: ShopStatement = {
  name: "customer",
  text: "SELECT id, name, email, address, joined_at FROM customers WHERE shop_id = $1 AND number = $2",
};

/** $1 shop, $2 customer number; no order asked for, so none may be counted on */
export const CUSTOMER_ORDERS: ShopStatement = {
  name: "customer_orders",
  text: `SELECT o.id, o.status, o.total, o.placed_at FROM orders o JOIN customers c ON c.id = o.customer_id
    WHERE c.shop_id = $1 AND c.number = $2`,
};

/** $1 shop, $2 product */
export const STOCK: ShopStatement = {
  name: "stock",
  text: "SELECT quantity, counted_at FROM inventory WHERE shop_id = $1 AND product_id = $2",
};

/** $1 order, $2 shop, $3 customer number, $4 note, $5 placed at */
export const INSERT_ORDER: ShopStatement = {
  name: "insert_order",
  text: `INSERT INTO orders (id, shop_id, customer_id, status, total, note, placed_at)
    SELECT $1::uuid, c.shop_id, c.id, 'placed', 0, $4::text, $5::timestamptz FROM customers c
    WHERE c.shop_id = $2::integer AND c.number = $3::integer RETURNING id, customer_id, status`,
};

/** $1 order, $2 products, $3 quantities */
export const INSERT_ITEMS: ShopStatement = {
  name: "insert_items",
  text: `INSERT INTO order_items (order_id, line, product_id, quantity, unit_price)
    SELECT $1::uuid, i.line, p.id, i.quantity, p.price
    FROM unnest($2::integer[], $3::integer[]) WITH ORDINALITY AS i (product, quantity, line)
    JOIN products p ON p.id = i.product`,
};

/** $1 order, $2 shop: takes what the order holds out of the shop's stock */
export const TAKE_STOCK: ShopStatement = {
  name: "take_stock",
  text: `UPDATE inventory s SET quantity = s.quantity - i.quantity FROM order_items i
    WHERE i.order_id = $1::uuid AND s.shop_id = $2::integer AND s.product_id = i.product_id
    RETURNING s.product_id, s.quantity`,
};

/** $1 order; the answer's `total` is what the shop books */
export const TOTAL_ORDER: ShopStatement = {
  name: "total_order",
  text: `UPDATE orders SET total = (SELECT sum(quantity * unit_price) FROM order_items WHERE order_id = orders.id)
    WHERE id = $1::uuid RETURNING total`,
};

/** $1 payment, $2 order, $3 method, $4 paid at */
export const PAY: ShopStatement = {
  name: "pay",
  text: `INSERT INTO payments (id, order_id, method, amount, details, paid_at)
    SELECT $1::uuid, o.id, $3::text, o.total, jsonb_build_object('currency', 'EUR', 'fee', round(o.total * 0.015, 2)), $4::timestamptz
    FROM orders o WHERE o.id = $2::uuid RETURNING amount, details`,
};

/** $1 new status, $2 order */
export const SET_STATUS: ShopStatement = {
  name: "set_status",
  text: "UPDATE orders SET status = $1::order_status WHERE id = $2::uuid RETURNING status",
};

/** $1 shop, $2 product, $3 quantity, $4 counted at */
export const RESTOCK: ShopStatement = {
  name: "restock",
  text: `UPDATE inventory SET quantity = quantity + $3::integer, counted_at = $4::timestamptz
    WHERE shop_id = $1::integer AND product_id = $2::integer`,
};

/** $1 order */
export const ORDER_PAGE: ShopStatement = {
  name: "order_page",
  text: `SELECT i.line, p.sku, p.name, i.quantity, i.unit_price, i.quantity * i.unit_price AS amount
    FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.order_id = $1::uuid ORDER BY i.line`,
};

/** $1 shop, $2 when the application began */
export const BOOKED: ShopStatement = {
  name: "booked",
  text: `SELECT count(*) AS orders, coalesce(sum(total), 0) AS total FROM orders
    WHERE shop_id = $1::integer AND placed_at >= $2::timestamptz`,
};

/** Each takes the shop as $1 and reads many rows. */
export const REPORTS: readonly ShopStatement[] = [
  {
    name: "report_months",
    text: `SELECT date_trunc('month', placed_at) AS month, count(*) AS orders, sum(total) AS turnover,
        round(avg(total), 2) AS average FROM orders
      WHERE shop_id = $1::integer AND placed_at < '${OPENING}' GROUP BY 1 ORDER BY 1`,
  },
  {
    name: "report_best_sellers",
    text: `SELECT p.sku, p.name, sum(i.quantity) AS sold, sum(i.quantity * i.unit_price) AS turnover
      FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id
      WHERE o.shop_id = $1::integer GROUP BY p.id ORDER BY turnover DESC, p.id LIMIT 10`,
  },
  {
    name: "report_customers",
    text: `WITH spent AS (
        SELECT customer_id, sum(total) AS total, max(placed_at) AS latest FROM orders
        WHERE shop_id = $1::integer GROUP BY customer_id)
      SELECT c.number, c.name, s.total, s.latest, rank() OVER (ORDER BY s.total DESC, c.number) AS place
      FROM spent s JOIN customers c ON c.id = s.customer_id ORDER BY place LIMIT 15`,
  },
  {
    name: "report_statuses",
    text: `SELECT status, count(*), array_agg(DISTINCT date_part('year', placed_at) ORDER BY date_part('year', placed_at)) AS years
      FROM orders WHERE shop_id = $1::integer GROUP BY status`,
  },
  {
    name: "report_low_stock",
    text: `SELECT p.sku, s.quantity, s.counted_at FROM inventory s JOIN products p ON p.id = s.product_id
      WHERE s.shop_id = $1::integer AND s.quantity < 520 ORDER BY s.quantity, p.sku`,
  },
];
