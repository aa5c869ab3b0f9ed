/** Two real servers, and what each of them answers to a statement of its own, compared. */
import { randomBytes } from "node:crypto";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { PostgresMajor } from "../../src/cli/demo/postgres-binaries.ts";
import { compareObservations } from "../../src/compare/compare.ts";
import type { CompareContext } from "../../src/compare/context.ts";
import type { Verdict } from "../../src/compare/verdict.ts";
import { openAdminClient } from "../../src/upstream/admin-client.ts";
import { readCatalogue } from "../../src/upstream/catalogue.ts";
import { at } from "../upstream/sessions.ts";
import { answered, context } from "./answers.ts";
import { openRawClient } from "./raw-client.ts";
import type { RawClient } from "./raw-client.ts";

/** How a client asks: by simple query, or by the extended protocol for text or binary. */
export type Form = "simple" | "extended" | "binary";
export const FORMS: readonly Form[] = ["simple", "extended", "binary"];

/** What is asked of one side. */
export type Question = { readonly sql: string; readonly form: Form };

type Settings = Readonly<Record<string, string>>;

export type TwoServers = {
  /** Reads both catalogues anew. */
  readTypes(): Promise<void>;
  /** A pair of sessions with these settings. */
  session(shadowSettings?: Settings, primarySettings?: Settings): Promise<PairOfSessions>;
  stop(): Promise<void>;
};

export type PairOfSessions = {
  verdict(primary: Question, shadow: Question, parts?: Partial<CompareContext>): Promise<Verdict>;
  close(): Promise<void>;
};

const HBA = "host all all 127.0.0.1/32 trust";

/** Starts a primary and a shadow and runs `schemas` on them. */
export async function startTwoServers(
  majors: readonly [primary: PostgresMajor, shadow: PostgresMajor],
  schemas: readonly [primary: readonly string[], shadow: readonly string[]],
): Promise<TwoServers> {
  const [primary, shadow] = await Promise.all([
    startPostgres({ major: majors[0], hba: HBA }),
    startPostgres({ major: majors[1], hba: HBA }),
  ]);
  await Promise.all([prepare(primary, schemas[0]), prepare(shadow, schemas[1])]);
  let types: Partial<CompareContext> = {};
  const session: TwoServers["session"] = async (shadowSettings = {}, primarySettings = {}) => {
    const clients = await Promise.all([
      openRawClient(primary.port, primarySettings),
      openRawClient(shadow.port, shadowSettings),
    ]);
    return {
      verdict: async (ofPrimary, ofShadow, parts = {}) => {
        const [a, b] = await Promise.all([ask(clients[0], ofPrimary), ask(clients[1], ofShadow)]);
        return compareObservations(answered(a), answered(b), context({ ...types, ...parts }));
      },
      close: async () => {
        await Promise.all(clients.map((client) => client.close()));
      },
    };
  };
  return {
    readTypes: async () => {
      const [ours, theirs] = await Promise.all([catalogueOf(primary), catalogueOf(shadow)]);
      types = {
        primaryTypes: (oid) => ours.typeNames.get(oid),
        shadowTypes: (oid) => theirs.typeNames.get(oid),
        primaryShapes: (oid) => ours.typeShapes.get(oid),
        shadowShapes: (oid) => theirs.typeShapes.get(oid),
      };
    },
    session,
    stop: async () => {
      await Promise.all([primary.stop(), shadow.stop()]);
    },
  };
}

function ask(client: RawClient, { sql, form }: Question): Promise<Buffer> {
  return form === "simple" ? client.simple(sql) : client.extended(sql, form === "binary" ? 1 : 0);
}

async function prepare(server: EmbeddedPostgres, schema: readonly string[]): Promise<void> {
  const client = await openRawClient(server.port, {});
  for (const sql of schema) {
    const answer = await client.simple(sql);
    if (answer[0] === 0x45) throw new Error(`${sql}: ${answer.toString("latin1")}`);
  }
  await client.close();
}

async function catalogueOf(server: EmbeddedPostgres): ReturnType<typeof readCatalogue> {
  const wanted = { ...at(server.port), user: "postgres", password: "", database: "postgres" };
  const limits = { connectTimeoutMs: 20_000, statementTimeoutMs: 20_000 };
  const admin = openAdminClient(wanted, limits, { random: randomBytes });
  try {
    return await readCatalogue(admin);
  } finally {
    await admin.close();
  }
}
