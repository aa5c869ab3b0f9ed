import { Client } from "pg";
import type { QueryArrayResult } from "pg";
import { CodedError } from "../base/errors.ts";
import type { DialDeps } from "./dial.ts";
import { dial } from "./dial.ts";
import { loggedIn } from "./login-outcome.ts";
import { LoggedInStream } from "./logged-in-stream.ts";
import type { ServerAddress } from "./server-address.ts";

/** Twinwire's own connection to a database, for its own questions; applications' traffic never uses it. */
export type AdminClient = {
  /**
   * Runs one statement; all values are text, as the server prints them. Connects if need be; what
   * fails is not tried again, the next call connects anew.
   * @throws AdminQueryError for what the server refused; CodedError when it could not be asked
   */
  query(sql: string, values?: readonly (string | null)[]): Promise<AdminRows>;
  close(): Promise<void>;
};

export type AdminRows = readonly (readonly (string | null)[])[];

/** Structurally what the configuration calls a database URL. */
export type AdminTarget = ServerAddress & {
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
};

export type AdminLimits = {
  readonly connectTimeoutMs: number;
  /** At least 1; enforced by the server, and a second later here. */
  readonly statementTimeoutMs: number;
};

/** The server refused a query of Twinwire's. `reported` is its SQLSTATE. */
export class AdminQueryError extends CodedError {
  readonly reported: string;

  constructor(reported: string, message: string) {
    super("backend_refused", message);
    this.name = "AdminQueryError";
    this.reported = reported;
  }
}

const TIMEOUT_GRACE_MS = 1000;

/** Makes the client; the connection comes with its first query. One connection, one query at a time. */
export function openAdminClient(
  target: AdminTarget,
  limits: AdminLimits,
  deps: DialDeps,
): AdminClient {
  let current: Promise<Client> | undefined;
  let isClosed = false;

  const forget = (connection: Promise<Client>): void => {
    if (current === connection) current = undefined;
  };
  const connected = (): Promise<Client> => {
    if (current !== undefined) return current;
    const opening = connect(target, limits, deps, () => forget(opening));
    opening.catch(() => forget(opening));
    current = opening;
    return opening;
  };

  const queryNow: AdminClient["query"] = async (sql, values) => {
    if (isClosed) throw new CodedError("shutting_down", "the admin connection is closed");
    const connection = connected();
    const client = await connection;
    try {
      return await run(client, limits, sql, values);
    } catch (cause) {
      const error = queryError(cause);
      if (endsSession(error)) {
        forget(connection);
        client.connection.stream.destroy();
      }
      throw error;
    }
  };

  let lastTurn: Promise<unknown> = Promise.resolve();
  return {
    query: (sql, values) => {
      const turn = lastTurn.then(() => queryNow(sql, values));
      lastTurn = turn.catch(() => {});
      return turn;
    },
    close: async () => {
      isClosed = true;
      const client = await current?.catch(() => undefined);
      current = undefined;
      await client?.end();
    },
  };
}

async function connect(
  target: AdminTarget,
  limits: AdminLimits,
  deps: DialDeps,
  onLost: () => void,
): Promise<Client> {
  const { user, password, database } = target;
  const outcome = await dial(
    {
      address: target,
      parameters: [
        ["user", user],
        ["database", database],
        ["application_name", "twinwire"],
        ["client_encoding", "UTF8"],
        ["statement_timeout", String(limits.statementTimeoutMs)],
      ],
      credentials: password === undefined ? { kind: "none" } : { kind: "password", password },
      timeoutMs: limits.connectTimeoutMs,
    },
    deps,
  );
  const stream = new LoggedInStream(loggedIn(outcome, target));
  // All that pg would otherwise look for in the environment is said here.
  const client = new Client({
    stream: () => stream,
    host: target.host,
    port: target.port,
    user,
    database,
    password: "",
    ssl: false,
    sslnegotiation: "postgres",
    types: { getTypeParser: () => (text: string) => text },
  } as ConstructorParameters<typeof Client>[0]);
  client.on("error", onLost);
  client.on("end", onLost);
  await client.connect();
  return client;
}

async function run(
  client: Client,
  limits: AdminLimits,
  text: string,
  values: readonly (string | null)[] | undefined,
): Promise<AdminRows> {
  const hung = setTimeout(() => {
    const what = `no answer to a query within ${limits.statementTimeoutMs} ms`;
    client.connection.stream.destroy(new CodedError("backend_lost", what));
  }, limits.statementTimeoutMs + TIMEOUT_GRACE_MS);
  try {
    const query = { text, values: values?.slice() ?? [], rowMode: "array" as const };
    const result: QueryArrayResult<(string | null)[]> = await client.query(query);
    return result.rows;
  } finally {
    clearTimeout(hung);
  }
}

/** SQLSTATE classes whose messages may repeat data: data exceptions, constraints, errors raised by functions. */
const CLASSES_WITH_VALUES = ["22", "23", "P0"];

/** The server ends a session with an error of this kind (admin_shutdown, crash_shutdown, …), and the end comes after it. */
function endsSession(error: CodedError): boolean {
  return !(error instanceof AdminQueryError) || error.reported.startsWith("57P");
}

function queryError(error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) {
    const silent = CLASSES_WITH_VALUES.includes(code.slice(0, 2));
    const what = silent ? "" : `: ${String(message)}`;
    return new AdminQueryError(code, `the database refused a query of Twinwire's (${code})${what}`);
  }
  return new CodedError("backend_lost", "the admin connection broke", { cause: error });
}
