import type pg from "pg";

/** One statement and its parameters as text. */
export type Ask = { readonly sql: string; readonly values?: readonly string[] };

/** How a statement travels. Each is another set of messages and another format of the values. */
export const FORMS = ["simple", "extended text", "extended binary"] as const;
export type Form = (typeof FORMS)[number];

/** Asks in one form; what the server refuses is an answer too. */
export async function ask(client: pg.Client, form: Form, { sql, values = [] }: Ask): Promise<void> {
  await client.query(queryOf(form, sql, values)).catch(() => undefined);
}

/** Says something before or after the question. */
export async function say(client: pg.Client, statements: readonly string[]): Promise<void> {
  for (const sql of statements) await ask(client, "simple", { sql });
}

function queryOf(form: Form, sql: string, values: readonly string[]): pg.QueryConfig {
  if (form === "simple") return { text: withLiterals(sql, values) };
  // Values stay the bytes they are: the driver knows the binary format of few types.
  const types = { getTypeParser: () => (raw: unknown) => raw };
  const binary = form === "extended binary";
  const query = { text: sql, values: [...values], queryMode: "extended", binary, types };
  return query as unknown as pg.QueryConfig;
}

function withLiterals(sql: string, values: readonly string[]): string {
  // Without values, `$1` is what PREPARE leaves open.
  if (values.length === 0) return sql;
  return sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = values[Number(number) - 1] ?? "";
    return `'${value.replaceAll("'", "''")}'`;
  });
}
