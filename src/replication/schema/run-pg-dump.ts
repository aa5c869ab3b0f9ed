import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CodedError } from "../../base/errors.ts";
import type { AdminTarget } from "../../upstream/admin-client.ts";
import { OWN_SCHEMA } from "../names.ts";
import type { PgDump } from "./find-pg-dump.ts";

const MAX_DUMP_BYTES = 512 * 1024 ** 2;

/** What every dump of ours leaves out. */
export const DUMP_ARGUMENTS: readonly string[] = [
  "--schema-only",
  "--no-publications",
  "--no-subscriptions",
  "--no-tablespaces",
  `--exclude-schema=${OWN_SCHEMA}`,
];

/** Authorities that libpq older than 16 has to be told of by name, in the places of distributions. */
const AUTHORITIES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

/**
 * The schema of a database as a plain dump. All that `pg_dump` is told of the connection stands in its environment or in
 * files that only we can read, never in its arguments, which everybody on the machine can see.
 * @throws CodedError with what pg_dump said
 */
export async function runPgDump(
  { path, major }: PgDump,
  source: AdminTarget,
  signal: AbortSignal | undefined,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "twinwire-dump-"));
  try {
    const env = await connectionEnvironment(source, folder, major);
    const { stdout } = await promisify(execFile)(path, DUMP_ARGUMENTS, {
      env,
      maxBuffer: MAX_DUMP_BYTES,
      ...(signal === undefined ? {} : { signal }),
    });
    return stdout;
  } catch (error) {
    signal?.throwIfAborted();
    const { stderr } = error as { readonly stderr?: string };
    const said = (stderr ?? "").trim().split("\n").slice(-3).join(" ");
    throw new CodedError("backend_refused", `pg_dump could not copy the schema: ${said}`, {
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function connectionEnvironment(
  source: AdminTarget,
  folder: string,
  major: number,
): Promise<Record<string, string>> {
  const { tls } = source;
  const pem = async (name: string, text: string | undefined): Promise<string | undefined> => {
    if (text === undefined) return undefined;
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const system = major >= 16 ? "system" : AUTHORITIES.find((path) => existsSync(path));
  const root =
    (await pem("root.pem", tls.rootCert)) ?? (tls.mode === "verify-full" ? system : undefined);
  const given: Readonly<Record<string, string | undefined>> = {
    PATH: "/usr/bin:/bin",
    // Nothing of the account's own may add to what is said here.
    HOME: folder,
    PGPASSFILE: join(folder, "no-passwords"),
    PGHOST: source.host,
    PGPORT: String(source.port),
    PGUSER: source.user,
    PGDATABASE: source.database,
    PGPASSWORD: source.password,
    PGSSLMODE: tls.mode,
    PGSSLROOTCERT: root,
    PGSSLCERT: await pem("client.pem", tls.cert),
    PGSSLKEY: await pem("client-key.pem", tls.key),
    PGCHANNELBINDING: tls.channelBinding,
    PGCONNECT_TIMEOUT: "10",
    PGCLIENTENCODING: "UTF8",
    PGAPPNAME: "twinwire",
    LC_ALL: "C",
  };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
