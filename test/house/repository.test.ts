import { spawnSync } from "node:child_process";
import t from "tap";
import { PROJECT, projectText } from "./project.ts";

type Lock = {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly resolved?: string;
        readonly optionalDependencies?: Readonly<Record<string, string>>;
      }
    >
  >;
};

const listed = spawnSync("git", ["ls-files", "-z"], { cwd: PROJECT, encoding: "utf8" });
const tracked = listed.status === 0 ? listed.stdout.split("\0").filter((path) => path !== "") : [];
const noGit = tracked.length === 0 ? { skip: "not a git checkout" } : {};
const lock = JSON.parse(projectText("package-lock.json")) as Lock;

/** Written so that the patterns do not find themselves. */
const FOREIGN = [
  {
    name: "a folder of one machine",
    pattern: /(?<![\w.}*])\/(?:work|root|home\/\w+|Users\/\w+)\//,
  },
  { name: "the address of a package registry", pattern: /registry\.(?:npm|yarn)|_auth(?:Token)?=/ },
];

await t.test("no tracked file names a machine's folder or a registry", noGit, async (test) => {
  const texts = tracked.filter(
    (path) => !/\.(png|ico|gif|jpg|woff2?|bin)$/.test(path) && path !== "package-lock.json",
  );
  for (const path of texts) {
    const lines = projectText(path).split("\n");
    for (const { name, pattern } of FOREIGN) {
      const at = lines.findIndex((line) => pattern.test(line));
      if (at !== -1) test.fail(`${path}:${at + 1} has ${name}: ${lines[at]?.trim().slice(0, 80)}`);
    }
  }
});

await t.test("nothing that is built or stored is tracked", noGit, async (test) => {
  test.same(
    tracked.filter((path) =>
      /^(dist|node_modules|twinwire-data)\/|\.(log|tsbuildinfo)$/.test(path),
    ),
    [],
  );
});

await t.test("every package is pinned to one version", async (test) => {
  const pack = JSON.parse(projectText("package.json")) as Record<
    string,
    Record<string, string> | undefined
  >;
  for (const kind of ["dependencies", "devDependencies", "optionalDependencies"]) {
    for (const [name, version] of Object.entries(pack[kind] ?? {})) {
      test.match(version, /^(npm:[@\w./-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/, `${kind}: ${name}`);
    }
  }
});

await t.test("the lockfile leaves the registry to whoever installs", async (test) => {
  for (const [path, { resolved }] of Object.entries(lock.packages)) {
    if (resolved !== undefined) test.fail(`${path} is bound to one address`);
  }
});

/**
 * npm writes only those optional packages into the lockfile that it could see when it wrote it, and `npm ci` refuses
 * a lockfile without the others: a fresh clone would not install.
 */
await t.test("the lockfile knows the optional packages of every platform", async (test) => {
  for (const [path, { optionalDependencies }] of Object.entries(lock.packages)) {
    for (const name of Object.keys(optionalDependencies ?? {})) {
      if (!isLocked(path, name)) test.fail(`${path || "the project"} wants ${name}`);
    }
  }
});

/** Looks where Node would: beside the package's own packages, then outwards. */
function isLocked(from: string, name: string): boolean {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/") - 1))) {
    if (lock.packages[`${at === "" ? "" : `${at}/`}node_modules/${name}`] !== undefined)
      return true;
    if (at === "") return false;
  }
}
