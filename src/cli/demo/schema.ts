/**
 * The order system of the demo: a few thousand rows made from row numbers alone, so that two servers
 * given these statements hold the same data. Keys of what the application adds are made by the
 * application, never by a sequence: both sides of a dual write must get the same ones.
 */

/** A table with the columns that order its rows, which a checksum of its contents needs. */
export type DemoTable = { readonly name: string; readonly key: string };

export const DEMO_TABLES: readonly DemoTable[] = [
  { name: "shops", key: "id" },
  { name: "customers", key: "id" },
  { name: "products", key: "id" },
  { name: "inventory", key: "shop_id, product_id" },
  { name: "orders", key: "id" },
  { name: "order_items", key: "order_id, line" },
  { name: "payments", key: "id" },
  { name: "support_tickets", key: "id" },
];

export const SHOPS = 6;
export const CUSTOMERS_PER_SHOP = 200;
export const PRODUCTS = 240;

/** Everything the load brings was placed before this moment. */
export const OPENING: string = "2025-01-01T00:00:00Z";

/** Statements for one database, in order. `app` must exist. */
export const DEMO_SCHEMA: readonly string[] = [
  `CREATE TYPE order_status AS ENUM ('placed', 'paid', 'shipped', 'returned')`,

  `CREATE TABLE shops (
     id integer PRIMARY KEY,
     name text NOT NULL,
     time_zone text NOT NULL,
     opened_on date NOT NULL)`,

  `CREATE TABLE customers (
     id uuid PRIMARY KEY,
     shop_id integer NOT NULL REFERENCES shops,
     number integer NOT NULL,
     name text NOT NULL,
     email text NOT NULL UNIQUE,
     address jsonb NOT NULL,
     joined_at timestamptz NOT NULL,
     UNIQUE (shop_id, number))`,

  `CREATE TABLE products (
     id integer PRIMARY KEY,
     sku text NOT NULL UNIQUE,
     name text NOT NULL,
     price numeric(10,2) NOT NULL CHECK (price > 0),
     flags integer NOT NULL,
     tags text[] NOT NULL,
     attributes jsonb NOT NULL,
     thumbnail bytea NOT NULL)`,

  `CREATE TABLE inventory (
     shop_id integer REFERENCES shops,
     product_id integer REFERENCES products,
     quantity integer NOT NULL,
     counted_at timestamptz NOT NULL,
     PRIMARY KEY (shop_id, product_id))`,

  `CREATE TABLE orders (
     id uuid PRIMARY KEY,
     shop_id integer NOT NULL REFERENCES shops,
     customer_id uuid NOT NULL REFERENCES customers,
     status order_status NOT NULL,
     total numeric(12,2) NOT NULL,
     note text,
     placed_at timestamptz NOT NULL)`,

  `CREATE INDEX orders_by_shop ON orders (shop_id, placed_at)`,

  `CREATE TABLE order_items (
     order_id uuid REFERENCES orders,
     line integer,
     product_id integer NOT NULL REFERENCES products,
     quantity integer NOT NULL CHECK (quantity > 0),
     unit_price numeric(10,2) NOT NULL,
     PRIMARY KEY (order_id, line))`,

  `CREATE TABLE payments (
     id uuid PRIMARY KEY,
     order_id uuid NOT NULL REFERENCES orders,
     method text NOT NULL,
     amount numeric(12,2) NOT NULL,
     details jsonb NOT NULL,
     paid_at timestamptz NOT NULL)`,

  `CREATE INDEX payments_by_order ON payments (order_id)`,

  `CREATE TABLE support_tickets (
     id integer PRIMARY KEY,
     "system_user" text NOT NULL,
     subject text NOT NULL)`,

  `INSERT INTO shops SELECT n,
     (ARRAY['Zürich', 'Kyōto 京都', 'São Paulo', 'Łódź', 'Αθήνα', 'Reykjavík'])[n],
     (ARRAY['Europe/Zurich', 'Asia/Tokyo', 'America/Sao_Paulo', 'Europe/Warsaw', 'Europe/Athens', 'UTC'])[n],
     date '2015-03-01' + n * 97
   FROM generate_series(1, ${SHOPS}) n`,

  `INSERT INTO customers SELECT
     md5('customer ' || n)::uuid,
     1 + n % ${SHOPS},
     1 + n / ${SHOPS},
     (ARRAY['Zoë', 'Jürgen', 'Łukasz', 'Σοφία', '美咲', 'Ana', 'O''Neill'])[1 + n % 7] || ' ' || chr(65 + n % 26) || '.',
     'customer' || n || '@example.com',
     jsonb_build_object('street', 'Street ' || n % 90, 'zip', to_char(n % 10000, 'FM00000'), 'lines', jsonb_build_array(n % 3, n % 5)),
     timestamptz '2019-01-01 00:00:00+00' + n * interval '31 hours 7 minutes'
   FROM generate_series(0, ${SHOPS * CUSTOMERS_PER_SHOP} - 1) n`,

  `INSERT INTO products SELECT n,
     'P-' || to_char(n, 'FM0000'),
     (ARRAY['Kaffee', 'Thé vert', 'お茶', 'Mug', 'Grinder', 'Filtre'])[1 + n % 6] || ' ' || n,
     (100 + (n * 7919) % 9900) / 100.0,
     (n * 37) % 256,
     ARRAY[(ARRAY['coffee', 'tea', 'gift'])[1 + n % 3], 'shelf ' || n % 12],
     jsonb_build_object('weight', round(n / 100.0, 2), 'origin', (ARRAY['KE', 'JP', 'CO'])[1 + n % 3], 'organic', n % 4 = 0),
     decode(md5('thumbnail ' || n), 'hex')
   FROM generate_series(1, ${PRODUCTS}) n`,

  `INSERT INTO inventory SELECT s, p, 500 + (s * 13 + p * 7) % 200, timestamptz '2024-12-31 18:00:00+00'
   FROM generate_series(1, ${SHOPS}) s, generate_series(1, ${PRODUCTS}) p`,

  `INSERT INTO orders SELECT
     md5('order ' || n)::uuid, c.shop_id, c.id,
     (ARRAY['placed', 'paid', 'shipped', 'shipped', 'returned'])[1 + n % 5]::order_status,
     0,
     CASE WHEN n % 4 = 0 THEN 'Bitte an der Tür abgeben – ' || n END,
     timestamptz '2023-01-01 08:00:00+00' + n * interval '5 hours 11 minutes'
   FROM generate_series(0, 2999) n JOIN customers c ON c.id = md5('customer ' || (n * 31) % ${SHOPS * CUSTOMERS_PER_SHOP})::uuid`,

  `INSERT INTO order_items SELECT
     md5('order ' || n)::uuid, line, p.id, 1 + (n + line) % 3, p.price
   FROM generate_series(0, 2999) n, generate_series(1, 3) line
     JOIN products p ON true
   WHERE line <= 1 + n % 3 AND p.id = 1 + (n * 17 + line * 41) % ${PRODUCTS}`,

  `UPDATE orders SET total = (SELECT sum(quantity * unit_price) FROM order_items WHERE order_id = orders.id)`,

  `INSERT INTO payments SELECT
     md5('payment ' || o.id)::uuid, o.id,
     CASE WHEN o.total > 100 THEN 'invoice' ELSE 'card' END, o.total,
     jsonb_build_object('currency', 'EUR', 'fee', round(o.total * 0.015, 2)),
     o.placed_at + interval '3 minutes'
   FROM orders o WHERE o.status <> 'placed'`,

  `INSERT INTO support_tickets SELECT n, 'agent' || n % 4, 'Where is my order ' || n || '?'
   FROM generate_series(1, 40) n`,

  `GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO app`,
  `ANALYZE`,
];
