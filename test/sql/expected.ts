import type { Statement, StatementKind } from "../../src/sql/statement.ts";

/** A statement and all that should be known of it; what a row leaves out should be empty. */
export type Expected = {
  readonly sql: string;
  /** Why the row is here. */
  readonly why: string;
  /** `read` when left out. */
  readonly kind?: StatementKind;
  readonly tables?: readonly string[];
  readonly written?: readonly string[];
  readonly functions?: readonly string[];
  readonly effects?: Statement["effects"];
  readonly noise?: Statement["noise"];
  readonly order?: Statement["order"];
  /** The first major version that takes it, when that is not 14. */
  readonly since?: number;
  /** What a server says to it in a read-only transaction, where that is not what its kind implies. */
  readonly onServer?: "not_run" | "accepted" | "refused";
};

/** Tables, views and functions that the statements name. */
export const SCHEMA = `
  CREATE TABLE customers (id int PRIMARY KEY, name text, email text, country text);
  CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status text, total numeric,
    created_at timestamptz, note text);
  CREATE TABLE order_items (order_id int, sku text, qty int, price numeric);
  CREATE TABLE "Order" ("Id" int);
  CREATE TABLE archive (id int PRIMARY KEY, customer_id int, status text);
  CREATE SEQUENCE order_seq;
  CREATE VIEW order_totals AS SELECT order_id, sum(qty * price) AS total FROM order_items GROUP BY 1;
  CREATE MATERIALIZED VIEW daily AS SELECT count(*) AS n FROM orders;
  CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
  CREATE FUNCTION touch() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
  CREATE PROCEDURE tidy() LANGUAGE sql AS 'SELECT 1';
  CREATE TYPE mood AS ENUM ('calm', 'busy');
  CREATE SCHEMA sales;
  CREATE TABLE sales.regions (id int);
  INSERT INTO customers VALUES (1, 'Ada', 'ada@example.org', 'DE');
  INSERT INTO orders VALUES (1, 1, 'paid', 10.50, '2024-01-01', NULL);
`;
