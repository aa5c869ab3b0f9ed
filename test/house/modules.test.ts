import { existsSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import t from "tap";
import { PROJECT, filesBelow, projectText } from "./project.ts";

/** What a module may import, types included; one first-level folder of src is a module. The order is strict. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  metrics: ["base"],
  config: ["base"],
  wire: ["base"],
  sql: ["base"],
  routing: ["base", "sql"],
  compare: ["base", "wire", "sql"],
  upstream: ["base", "metrics", "wire"],
  control: ["base", "metrics", "upstream", "routing"],
  divergence: ["base", "metrics", "sql", "compare", "control"],
  mirror: ["base", "metrics", "wire", "sql", "routing", "upstream", "compare", "divergence"],
  proxy: ["base", "metrics", "wire", "sql", "routing", "upstream", "mirror"],
  replication: ["base", "metrics", "wire", "sql", "upstream", "control"],
  verify: ["base", "metrics", "wire", "upstream", "control", "replication"],
  cutover: ["base", "metrics", "routing", "control"],
  admin: ["base", "metrics", "config", "routing", "divergence"],
};

/** The composition root and the commands see everything. */
const MAY_IMPORT_ALL = new Set(["cli", "main.ts"]);

/** No clock, randomness, sockets or process: the same input gives the same output for ever. */
const PURE = ["wire", "sql", "routing", "compare"];
const PURE_BUILTINS = new Set(["node:crypto", "node:buffer"]);
const IMPURE_WORDS =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|process\.|setTimeout|setInterval|setImmediate)\b|\bfetch\(|\b(randomBytes|randomUUID|randomInt)\b/;

const sources = filesBelow("src", ".ts").map((path) => ({
  path,
  text: withoutComments(projectText(path)),
}));

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** `src/wire/postgres/frame.ts` belongs to `wire`, `src/main.ts` to itself. */
function moduleOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function importsOf(text: string): string[] {
  const found = text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']/g);
  return [...found].map((match) => match[1] ?? "");
}

await t.test("every module imports only from the modules of its row", async (test) => {
  for (const { path, text } of sources) {
    const own = moduleOf(path);
    if (MAY_IMPORT_ALL.has(own)) continue;
    const row = MAY_IMPORT[own];
    test.ok(row, `${path} is in a module of the table`);
    for (const name of importsOf(text).filter((each) => each.startsWith("."))) {
      const target = moduleOf(posix.join(posix.dirname(path), name));
      if (target !== own && !row?.includes(target)) test.fail(`${path} imports ${name}`);
    }
  }
});

await t.test(
  "the order of the modules is strict, so there are no cycles between them",
  async (test) => {
    const placed = new Set<string>();
    const waiting = new Set(Object.keys(MAY_IMPORT));
    for (let before = -1; before !== placed.size;) {
      before = placed.size;
      for (const name of waiting) {
        if (!MAY_IMPORT[name]?.every((each) => placed.has(each))) continue;
        placed.add(name);
        waiting.delete(name);
      }
    }
    test.same([...waiting], []);
  },
);

await t.test("no file only passes on what others export", async (test) => {
  for (const { path, text } of sources) {
    test.not(posix.basename(path), "index.ts", path);
    test.notMatch(text, /^export\s+(type\s+)?(\*|\{[^}]*\})[^;]*\sfrom\s/m, path);
  }
});

await t.test("pure modules know neither time nor chance nor the machine", async (test) => {
  for (const { path, text } of sources.filter((source) => PURE.includes(moduleOf(source.path)))) {
    const builtins = importsOf(text).filter((name) => name.startsWith("node:"));
    test.same(
      builtins.filter((name) => !PURE_BUILTINS.has(name)),
      [],
      path,
    );
    test.notMatch(text, IMPURE_WORDS, path);
  }
});

await t.test("every module has a README of at most 40 lines", async (test) => {
  const modules = readdirSync(join(PROJECT, "src"), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  for (const { name } of modules) {
    const path = `src/${name}/README.md`;
    if (!test.ok(existsSync(join(PROJECT, path)), `${path} exists`)) continue;
    const lines = projectText(path).trimEnd().split("\n").length;
    test.ok(lines <= 40, `${path} has ${lines} lines`);
  }
});
