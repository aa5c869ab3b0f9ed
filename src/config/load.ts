import { dirname, resolve } from "node:path";
import { CodedError } from "../base/errors.ts";
import type { Config } from "./config.ts";
import { contradictions, warnings } from "./contradictions.ts";
import { filesOfUrl } from "./database-url.ts";
import { problemsOf, valueAt } from "./issues.ts";
import { isPem } from "./pem.ts";
import type { FileTexts } from "./pem.ts";
import { pathText } from "./problem.ts";
import type { Problem } from "./problem.ts";
import { configJsonSchema, configSchema } from "./schema.ts";
import { parseSource } from "./source.ts";
import type { Position, Source } from "./source.ts";
import { referencedFiles, substitute } from "./substitute.ts";
import type { Environment } from "./substitute.ts";

/** Reads a whole text file; rejects when it cannot. */
export type ReadFile = (path: string) => Promise<string>;

export type LoadedConfig = {
  readonly config: Config;
  /** Lines in the form of the errors: allowed, and most likely not meant. */
  readonly warnings: readonly string[];
};

/**
 * Loads a configuration. Names of certificates and `${file:…}` are relative to the file's folder.
 * @throws CodedError `config_invalid`, with a line `file:line:column path: message` for everything
 * that is wrong; no line repeats a value.
 */
export async function loadConfig(
  path: string,
  environment: Environment,
  readFile: ReadFile,
): Promise<Config> {
  return (await loadConfigWithWarnings(path, environment, readFile)).config;
}

/** `loadConfig`, with what it would warn about. @throws the same. */
export async function loadConfigWithWarnings(
  path: string,
  environment: Environment,
  readFile: ReadFile,
): Promise<LoadedConfig> {
  const text = await readFile(path).catch((error: unknown) => {
    throw invalid([`${path}: cannot be read (${errorCode(error)})`]);
  });
  const outcome = parseSource(text);
  if (outcome.kind === "broken") {
    throw invalid(outcome.problems.map((at) => `${place(path, at)} ${at.message}`));
  }
  const { source } = outcome;
  const read = (names: readonly string[]): Promise<FileTexts> =>
    readAll(names, dirname(path), readFile);
  const unresolved = substitute(source, environment, await read(referencedFiles(source)));
  const raw = source.raw();
  const parsed = configSchema(await read(namedFiles(raw))).safeParse(raw);
  const wrong = parsed.success ? [] : problemsOf(parsed.error, configJsonSchema(), raw);
  const problems = [
    ...unresolved,
    ...withoutUnresolved([...wrong, ...contradictions(raw)], unresolved),
  ];
  if (problems.length > 0 || !parsed.success) throw invalid(lines(path, source, problems));
  return { config: parsed.data, warnings: lines(path, source, warnings(raw)) };
}

/** A text that could not be put together would be complained about twice. */
function withoutUnresolved(
  problems: readonly Problem[],
  unresolved: readonly Problem[],
): Problem[] {
  const places = new Set(unresolved.map((problem) => pathText(problem.path)));
  return problems.filter((problem) => !places.has(pathText(problem.path)));
}

/** The certificate and key files named in the document, whatever else may be wrong with it. */
function namedFiles(raw: unknown): string[] {
  const migrations = valueAt(raw, ["migrations"]);
  if (!Array.isArray(migrations)) return [];
  return migrations.flatMap((migration: unknown) => {
    const tls = (["cert", "key"] as const)
      .map((name) => valueAt(migration, ["listen", "tls", name]))
      .filter((name) => typeof name === "string");
    const urls = (["old", "new"] as const)
      .flatMap((side) => [valueAt(migration, [side, "url"]), valueAt(migration, [side, "admin"])])
      .filter((url) => typeof url === "string");
    return [...tls.filter((name) => !isPem(name)), ...urls.flatMap(filesOfUrl)];
  });
}

async function readAll(
  names: readonly string[],
  folder: string,
  readFile: ReadFile,
): Promise<FileTexts> {
  const texts = new Map<string, string | undefined>();
  for (const name of new Set(names)) {
    // A file that cannot be read is a problem of the entry that names it, found when that is read.
    texts.set(name, await readFile(resolve(folder, name)).catch(() => undefined));
  }
  return texts;
}

function lines(path: string, source: Source, problems: readonly Problem[]): string[] {
  return problems
    .map((problem) => ({ ...problem, ...source.locate(problem.path, problem.at) }))
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .map((at) => {
      const entry = pathText(at.path);
      return `${place(path, at)} ${entry === "" ? "" : `${entry}: `}${at.message}`;
    });
}

function place(path: string, { line, column }: Position): string {
  return `${path}:${line}:${column}`;
}

function invalid(found: readonly string[]): CodedError {
  return new CodedError("config_invalid", found.join("\n"));
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
