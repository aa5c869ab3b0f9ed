import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

/** A `pg_dump` that can be run. */
export type PgDump = { readonly path: string; readonly major: number };

type Environment = Readonly<Record<string, string | undefined>>;

const VERSION_TIMEOUT_MS = 10_000;

/** Where distributions keep those of all versions: Debian, Red Hat, Homebrew on either kind of Mac. */
const SHELVES = [
  { folder: "/usr/lib/postgresql", below: "bin" },
  { folder: "/usr", below: "bin", only: /^pgsql-/ },
  { folder: "/opt/homebrew/opt", below: "bin", only: /^(postgresql|libpq)/ },
  { folder: "/usr/local/opt", below: "bin", only: /^(postgresql|libpq)/ },
] as const;

/** All that are found, the oldest first. `TWINWIRE_PG_DUMP` names the only one to be used. */
export async function findPgDumps(env: Environment): Promise<readonly PgDump[]> {
  const named = env["TWINWIRE_PG_DUMP"];
  const paths = named === undefined || named === "" ? await places(env) : [named];
  const found = await Promise.all([...new Set(paths)].map(versionOf));
  return found.filter((each) => each !== undefined).toSorted((a, b) => a.major - b.major);
}

/** The oldest that knows a server of this major version: the newer, the more it writes that an older target does not know. */
export function sufficient(found: readonly PgDump[], major: number): PgDump | undefined {
  return found.find((each) => each.major >= major);
}

async function places(env: Environment): Promise<string[]> {
  const shelves = await Promise.all(
    SHELVES.map(async (shelf) => {
      const entries = await readdir(shelf.folder).catch(() => []);
      const fit = "only" in shelf ? entries.filter((entry) => shelf.only.test(entry)) : entries;
      return fit.map((entry) => join(shelf.folder, entry, shelf.below, "pg_dump"));
    }),
  );
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...shelves.flat(), ...onPath.map((folder) => join(folder, "pg_dump"))];
}

async function versionOf(path: string): Promise<PgDump | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ["--version"], {
      timeout: VERSION_TIMEOUT_MS,
    });
    const major = /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
    return major === undefined ? undefined : { path, major: Number(major) };
  } catch {
    return undefined; // nothing there that runs
  }
}
