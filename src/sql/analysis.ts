import type { Statement } from "./statement.ts";

/** The statements of one query string, in order. */
export type Analysis = {
  readonly statements: readonly Statement[];
};

/** What is known of the functions of one database, from its `pg_proc`. Names are lower-case, without schema. */
export type FunctionCatalogue = {
  /** At least one overload is volatile. */
  isVolatile(name: string): boolean;
};
