import { readFile } from "node:fs/promises";
import { stringify } from "yaml";
import { loadConfigWithWarnings } from "../config/load.ts";
import { redact } from "../config/redact.ts";
import { configJsonSchema } from "../config/schema.ts";
import { printJson } from "./command.ts";
import { EXIT } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** Prints the configuration as Twinwire understands it, or everything that is wrong with it. */
export async function checkConfig(
  terminal: Terminal,
  { config: path, json }: { readonly config: string; readonly json?: boolean },
): Promise<number> {
  const loaded = await loadConfigWithWarnings(path, terminal.env, (name) => readFile(name, "utf8"));
  for (const warning of loaded.warnings) terminal.err(`warning: ${warning}\n`);
  const shown = redact(loaded.config);
  if (json === true) printJson(terminal, shown);
  else terminal.out(stringify(shown));
  return EXIT.fine;
}

/** Prints the JSON Schema of the configuration file. */
export function printConfigSchema(terminal: Terminal): number {
  printJson(terminal, configJsonSchema());
  return EXIT.fine;
}
