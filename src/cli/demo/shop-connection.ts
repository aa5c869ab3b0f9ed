/** One client connection of the demo's application and the way it asks: every way a real client has. */
import { performance } from "node:perf_hooks";
import { Client } from "pg";
import type { QueryResult } from "pg";
import type { LatencyHistogram } from "../../metrics/latency-histogram.ts";
import type { Step } from "./statements.ts";

/** How a client puts its questions. */
export type AskingStyle =
  /** One statement in a simple Query, values written into the text. */
  | "simple"
  /** Steps that belong together go as several statements in one simple Query. */
  | "several statements"
  /** Extended protocol, unnamed statements. */
  | "parameters"
  /** Extended protocol, statements prepared once by name. */
  | "prepared"
  /** Extended protocol, steps that belong together sent without waiting for answers. */
  | "pipelined";

/** Rows as the client library gives them, one list a step. */
export type Answer = readonly Record<string, unknown>[];

export type ShopConnection = {
  /** Asks the steps in order and gives one answer a step. @throws what the server or the library says. */
  ask(steps: readonly Step[]): Promise<Answer[]>;
  close(): Promise<void>;
};

export type ConnectionSite = {
  readonly url: string;
  readonly applicationName: string;
  readonly latencies: LatencyHistogram;
};

/** An answer that does not come in this time is an error of the application. */
export const ANSWER_DEADLINE_MS = 20_000;

/** Connects once; a connection that is lost stays lost, and the next `ask` throws. */
export async function connectShop(
  style: AskingStyle,
  site: ConnectionSite,
): Promise<ShopConnection> {
  const client = new Client({
    connectionString: site.url,
    application_name: site.applicationName,
    query_timeout: ANSWER_DEADLINE_MS,
    pipeline: style === "pipelined",
  });
  client.on("error", () => {}); // the next question fails and says why
  await client.connect();
  const ask = (steps: readonly Step[]): Promise<Answer[]> => askIn(style, client, steps, site);
  return { ask, close: () => client.end() };
}

async function askIn(
  style: AskingStyle,
  client: Client,
  steps: readonly Step[],
  site: ConnectionSite,
): Promise<Answer[]> {
  if (style === "several statements") {
    const text = steps.map((each) => withLiterals(client, each)).join(";\n");
    const results = await timed(site, () => client.query(text));
    // The library gives a list of results only where there are several.
    return (Array.isArray(results) ? (results as QueryResult[]) : [results]).map(
      (result) => result.rows,
    );
  }
  if (style === "pipelined") {
    const results = steps.map((each) => timed(site, () => askOne("parameters", client, each)));
    return (await Promise.all(results)).map((result) => result.rows);
  }
  const answers: Answer[] = [];
  for (const each of steps) {
    answers.push((await timed(site, () => askOne(style, client, each))).rows);
  }
  return answers;
}

function askOne(
  style: "simple" | "parameters" | "prepared",
  client: Client,
  { statement, values }: Step,
): Promise<QueryResult> {
  // SET takes no parameters, and a driver sends BEGIN and COMMIT as they are.
  if (style === "simple" || statement.text.startsWith("SET ") || values.length === 0) {
    return client.query(withLiterals(client, { statement, values }));
  }
  return client.query({
    ...(style === "prepared" ? { name: statement.name } : {}),
    text: statement.text,
    values: [...values],
  });
}

function withLiterals(client: Client, { statement, values }: Step): string {
  return statement.text.replaceAll(/\$(\d)/g, (_, digit: string) =>
    client.escapeLiteral(values[Number(digit) - 1] ?? ""),
  );
}

async function timed<T>(site: ConnectionSite, ask: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const answer = await ask();
  site.latencies.record(performance.now() - startMs);
  return answer;
}
