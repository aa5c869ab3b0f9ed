import { Command } from "commander";
import type { Scope } from "./command.ts";
import { example } from "./example.ts";

/** Commands that ask the databases of a configuration file themselves. */
export function databaseCommands({ terminal, finish }: Scope): Command[] {
  const standalone = (name: string, summary: string, description: string): Command =>
    new Command(name)
      .summary(summary)
      .description(description)
      .requiredOption("-c, --config <file>", "configuration file")
      .option("--migration <name>", "which migration, where there are several")
      .option("--json", "print JSON");
  type Options = { readonly config: string; readonly migration?: string; readonly json?: boolean };
  const doctor = standalone(
    "doctor",
    "say why a migration would fail or surprise, and the cure",
    "Examine both databases, changing nothing: every reason why replication between them would\n" +
      "fail or surprise, each with the SQL that cures it. Ends with 3 when something blocks it.",
  )
    .addHelpText("after", example("twinwire doctor -c twinwire.yaml"))
    .action(async (options: Options) => {
      const module = await import("./doctor-command.ts");
      finish(await module.doctor(terminal, options));
    });
  const gc = standalone(
    "gc",
    "list what Twinwire has left in the databases, or remove it",
    "List everything of Twinwire's in both databases: slots, publications, origins, triggers,\n" +
      "functions, tables. With --remove it is removed, unless it is in use.",
  )
    .option("--remove", "remove it, and print the SQL that does")
    .option("--force", "remove what is in use, too")
    .addHelpText(
      "after",
      example("twinwire gc -c twinwire.yaml", "twinwire gc -c twinwire.yaml --remove"),
    )
    .action(async (options: Options & { readonly remove?: boolean; readonly force?: boolean }) => {
      const module = await import("./gc-command.ts");
      finish(await module.collectGarbage(terminal, options));
    });
  return [doctor, gc];
}
