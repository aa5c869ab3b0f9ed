import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import t from "tap";
import { ERRORS } from "../../src/base/errors.ts";
import { PROJECT, filesBelow, projectText } from "./project.ts";

const DOCUMENTS = [
  "README.md",
  ...(existsSync(join(PROJECT, "docs")) ? filesBelow("docs", ".md") : []),
];
const pack = JSON.parse(projectText("package.json")) as {
  version: string;
  scripts: Record<string, string>;
};

/** The lines of a document's shell blocks, without prompts. */
function shellLines(text: string): string[] {
  const blocks = text.matchAll(/^```(?:sh|bash|shell|console)\n([\s\S]*?)^```/gm);
  return [...blocks]
    .flatMap((block) => (block[1] ?? "").split("\n"))
    .map((line) => line.replace(/^\$ /, "").trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** The commands that `twinwire --help` names. */
function twinwireCommands(): Set<string> {
  const main = join(PROJECT, "dist", "src", "main.js");
  const { stdout } = spawnSync(process.execPath, [main, "--help"], { encoding: "utf8" });
  const listed = stdout.slice(stdout.indexOf("Commands:"));
  return new Set([...listed.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map((match) => match[1] ?? ""));
}

await t.test("every npm command in the documents exists", async (test) => {
  for (const document of DOCUMENTS) {
    for (const line of shellLines(projectText(document))) {
      const [, first, second] = /\bnpm (?:--?\S+ )*(\S+)(?: (?:--silent )?(\S+))?/.exec(line) ?? [];
      const script = first === "run" ? second : first;
      if (script === undefined || ["ci", "install", "i"].includes(script)) continue;
      test.ok(pack.scripts[script], `${document}: ${line}`);
    }
  }
});

await t.test("every twinwire command in the documents exists", async (test) => {
  const commands = twinwireCommands();
  test.ok(commands.has("serve"), "the help could be read");
  for (const document of DOCUMENTS) {
    for (const line of shellLines(projectText(document))) {
      const command = /(?:^|&& |npx )(?:twinwire|node dist\/src\/main\.js) ([a-z][a-z-]*)/.exec(
        line,
      )?.[1];
      if (command !== undefined) test.ok(commands.has(command), `${document}: ${line}`);
    }
  }
});

await t.test("every file that a document links to exists", async (test) => {
  for (const document of [...DOCUMENTS, ...filesBelow("src", ".md")]) {
    const links = projectText(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g);
    for (const [, link] of links) {
      test.ok(existsSync(join(PROJECT, document, "..", link ?? "")), `${document}: ${link}`);
    }
  }
});

await t.test("the error catalogue and its document name the same codes", async (test) => {
  const document = "docs/ERRORS.md";
  if (!existsSync(join(PROJECT, document))) return test.pass("there is no such document");
  const documented = [...projectText(document).matchAll(/^\| `([a-z_]+)`/gm)].map(
    (match) => match[1],
  );
  return test.same(new Set(documented), new Set(Object.keys(ERRORS)));
});

await t.test("every error has a SQLSTATE and a sentence", async (test) => {
  for (const [code, { sqlstate, sentence }] of Object.entries(ERRORS)) {
    test.match(sqlstate, /^[0-9A-Z]{5}$/, code);
    test.match(sentence, /^[A-Z].*\.$/, code);
  }
});

await t.test("the changelog has an entry for the version of the package", async (test) => {
  test.ok(projectText("CHANGELOG.md").includes(`## [${pack.version}]`));
});
