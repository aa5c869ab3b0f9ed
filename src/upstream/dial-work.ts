import type { AdminTarget } from "./admin-client.ts";
import { dial } from "./dial.ts";
import type { DialDeps, Dialled } from "./dial.ts";
import { loggedIn } from "./login-outcome.ts";

/** What a session of Twinwire's own is opened with. */
export type WorkOptions = {
  readonly connectTimeoutMs: number;
  /** Enforced by the server, and a little later here. undefined or 0: none. */
  readonly statementTimeoutMs?: number | undefined;
  readonly applicationName: string;
  /** Settings beside, or instead of, those that make all texts of values unambiguous. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
};

/**
 * Values print the same whatever the role, the database or the server are set to, and read back as what they were. Names
 * in values (`regclass`) come with their schemas; functions that the tables call see no schema but their own, as under
 * `pg_dump` and PostgreSQL's own apply worker.
 */
const UNAMBIGUOUS: Readonly<Record<string, string>> = {
  client_encoding: "UTF8",
  DateStyle: "ISO, YMD",
  IntervalStyle: "postgres",
  extra_float_digits: "3",
  bytea_output: "hex",
  TimeZone: "UTC",
  search_path: "",
  lc_monetary: "C",
};

/** @throws CodedError */
export async function dialForWork(
  target: AdminTarget,
  options: WorkOptions,
  deps: DialDeps,
): Promise<Dialled> {
  const { user, password, database } = target;
  const settings = {
    ...UNAMBIGUOUS,
    application_name: options.applicationName,
    statement_timeout: String(options.statementTimeoutMs ?? 0),
    idle_in_transaction_session_timeout: "0",
    ...options.parameters,
  };
  const outcome = await dial(
    {
      address: target,
      parameters: [["user", user], ["database", database], ...Object.entries(settings)],
      credentials: password === undefined ? { kind: "none" } : { kind: "password", password },
      timeoutMs: options.connectTimeoutMs,
    },
    deps,
  );
  return loggedIn(outcome, target);
}

/** As in `server_version_num`, from what the server calls itself: `16.14 (Debian …)`, `9.6.24`, `18beta1`. */
export function versionNumber({ parameters }: Dialled): number {
  const [, first = "0", second = "0", third = "0"] =
    /^(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(parameters.get("server_version") ?? "") ?? [];
  const major = Number(first);
  return major >= 10
    ? major * 10_000 + Number(second)
    : major * 10_000 + Number(second) * 100 + Number(third);
}
