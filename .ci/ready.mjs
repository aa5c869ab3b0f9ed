// Makes a clone ready to run: installs the packages and builds when something is missing or has changed since.
// Says nothing when there is nothing to do. `--servers`: the PostgreSQL programs have to be there too.
// Plain JavaScript without packages, because it runs before there are any.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const at = (...path) => join(root, ...path);
const INSTALLED = at("node_modules", ".twinwire-installed");
const BUILT = at("dist", ".twinwire-built");
const LOCK = at("dist", ".twinwire-lock");
const SERVERS = ["pg14-linux-x64", "pg16-linux-x64", "pg18-linux-x64"];
const withServers = process.argv.includes("--servers");

/** Ends with one line for the reader; a stack would hide it. */
function fail(line) {
  console.error(line);
  process.exit(1);
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(at("package.json"), "utf8"));
  const [major, minor] = /(\d+)\.(\d+)/.exec(engines.node).slice(1).map(Number);
  const [ownMajor, ownMinor] = process.versions.node.split(".").map(Number);
  if (ownMajor < major || (ownMajor === major && ownMinor < minor)) {
    fail(`Twinwire needs Node ${major}.${minor} or newer; this is Node ${process.versions.node}.`);
  }
}

const textOf = (path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);

/** The packages are named by the lockfile, so its hash says whether they are the right ones. */
const wantedInstall = () =>
  createHash("sha256")
    .update(readFileSync(at("package-lock.json")))
    .digest("hex");

function installIsDue() {
  const serversMissing =
    withServers && SERVERS.some((name) => !existsSync(at("node_modules", name)));
  if (serversMissing && process.platform === "linux" && process.arch === "x64") return true;
  if (textOf(INSTALLED) === wantedInstall()) return false;
  // Somebody may have run npm themselves: its own record is then at least as new as the lockfile.
  const record = at("node_modules", ".package-lock.json");
  if (!existsSync(record) || !existsSync(at("node_modules", "typescript"))) return true;
  return statSync(record).mtimeMs < statSync(at("package-lock.json")).mtimeMs;
}

/** Name, size and time of everything the build reads; a file deleted or checked out older counts as well. */
function wantedBuild() {
  const hash = createHash("sha256");
  const add = (path) => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path}\0${size}\0${mtimeMs}\n`);
  };
  for (const path of ["tsconfig.json", "package.json", "package-lock.json"]) add(at(path));
  for (const path of filesBelow(["src", "test", "bench"], ".ts")) add(path);
  return hash.digest("hex");
}

function filesBelow(folders, ending) {
  const below = (folder) =>
    readdirSync(folder, { recursive: true })
      .map((name) => join(folder, name))
      .filter((path) => path.endsWith(ending));
  return folders
    .map((folder) => at(folder))
    .filter(existsSync)
    .flatMap(below)
    .toSorted();
}

const buildIsDue = () => textOf(BUILT) !== wantedBuild();

function install() {
  console.log("Installing the packages (npm ci) …");
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  // npm tells its scripts where it lies; a `node` that a package put in the path must not run it.
  const npm = process.env.npm_execpath;
  const [program, ...first] = npm?.endsWith(".js") ? [process.execPath, npm] : ["npm"];
  const { status, error } = spawnSync(program, [...first, ...args], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0)
    fail(`npm ci failed${error ? ` (${error.message})` : ""}; the lines above say why.`);
  writeFileSync(INSTALLED, wantedInstall());
}

function build() {
  console.log("Building …");
  const wanted = wantedBuild(); // taken first: a file saved meanwhile makes the next run build again
  const tsc = at("node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", root], {
    cwd: root,
    stdio: ["ignore", 1, 2],
  });
  if (status !== 0) fail("The build failed; the lines above say where.");
  removeOrphans();
  writeFileSync(BUILT, wanted);
}

/** What was built from a source that is gone, so that a deleted test does not go on running. */
function removeOrphans() {
  for (const path of filesBelow(["dist/src", "dist/test", "dist/bench"], ".js")) {
    const stem = path.slice(at("dist").length + 1, -".js".length);
    if (existsSync(at(`${stem}.ts`))) continue;
    for (const ending of [".js", ".js.map", ".d.ts"])
      rmSync(at("dist", stem + ending), { force: true });
  }
}

/** One command at a time installs and builds; the others wait for it. A lock whose owner is gone is void. */
async function locked(work) {
  mkdirSync(at("dist"), { recursive: true });
  for (;;) {
    try {
      writeFileSync(LOCK, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (!isAlive(Number(textOf(LOCK) || process.pid))) rmSync(LOCK, { force: true });
      await delay(100);
    }
  }
  process.once("exit", () => rmSync(LOCK, { force: true }));
  work();
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** The package that carries Node 24 links itself in front of the Node that was chosen to run the scripts. */
function removeForeignNode() {
  rmSync(at("node_modules", ".bin", "node"), { force: true });
}

checkNode();
if (installIsDue() || buildIsDue()) {
  await locked(() => {
    if (installIsDue()) install();
    removeForeignNode();
    if (buildIsDue()) build();
  });
}
removeForeignNode();
if (withServers && SERVERS.some((name) => !existsSync(at("node_modules", name)))) {
  fail(
    `This needs the PostgreSQL servers from npm, which exist for linux-x64, not ${process.platform}-${process.arch}.`,
  );
}
