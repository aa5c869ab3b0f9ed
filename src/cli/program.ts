import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { CodedError, messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { adminCommand } from "./command.ts";
import type { Scope } from "./command.ts";
import { databaseCommands } from "./database-commands.ts";
import { example } from "./example.ts";
import { CommandError, EXIT } from "./exit.ts";
import {
  cleanDivergence,
  closeDivergence,
  ignoreDivergence,
  printDivergences,
  recheckDivergence,
  tolerateDivergence,
} from "./divergence-commands.ts";
import { printFingerprints, printReadiness, printReport, printStatus } from "./inspect-commands.ts";
import { verifyTables } from "./verify-command.ts";
import { printReplication, startReplication, stopReplication } from "./replicate-commands.ts";
import { printRules, removeRule } from "./rule-commands.ts";
import type { Terminal } from "./terminal.ts";
import { routeTo, setShadow, verb } from "./verb-commands.ts";

/** Runs one command line. @returns the exit code; nothing is thrown. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = EXIT.fine;
  const program = buildProgram({
    terminal,
    finish(code) {
      exitCode = code;
    },
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    // Commander has printed its own complaint, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.fine : EXIT.usage;
    terminal.err(`${terminal.colors.red("error:")} ${explain(error)}\n`);
    return error instanceof CommandError ? error.exitCode : EXIT.failed;
  }
}

/** A mistake of ours is shown with its stack, so that it can be reported; anything expected is a sentence. */
function explain(error: unknown): string {
  if (error instanceof CodedError && error.code === "config_invalid") {
    return `the configuration is not valid\n${error.message}`;
  }
  const expected = error instanceof CommandError || error instanceof CodedError;
  return expected || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message);
}

function buildProgram(scope: Scope): Command {
  const { terminal } = scope;
  const program = new Command("twinwire")
    .description(
      "Moves a live application from one database to another: mirror, compare, report, switch,\n" +
        "and always a way back.",
    )
    .version(VERSION, "-V, --version")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
    })
    .addHelpText("after", EPILOGUE);
  const commands = [
    ...localCommands(scope),
    ...inspectCommands(scope),
    replicateCommand(scope),
    verifyCommand(scope),
    ...verbCommands(scope),
  ];
  for (const command of commands) {
    // What is built apart from the program does not inherit its settings by itself.
    for (const part of [command, ...command.commands]) part.copyInheritedSettings(program);
    program.addCommand(command);
  }
  return program;
}

function localCommands({ terminal, finish }: Scope): Command[] {
  const file = "-c, --config <file>";
  const config = new Command("config").summary("check a configuration file").helpCommand(false);
  config
    .command("check")
    .description(
      "Print the configuration as it is understood, secrets hidden, or all its mistakes.",
    )
    .requiredOption(file, "configuration file")
    .option("--json", "print JSON")
    .addHelpText("after", example("twinwire config check -c twinwire.yaml"))
    .action(async (options: { config: string; json?: boolean }) => {
      const { checkConfig } = await import("./config-commands.ts");
      finish(await checkConfig(terminal, options));
    });
  config
    .command("schema")
    .description("Print the JSON Schema of the configuration file, for editors.")
    .action(async () => {
      const { printConfigSchema } = await import("./config-commands.ts");
      finish(printConfigSchema(terminal));
    });
  const serve = new Command("serve")
    .summary("run everything for a configuration file")
    .description("Run everything for a configuration file. SIGTERM drains, SIGHUP reloads.")
    .requiredOption(file, "configuration file")
    .addHelpText("after", example("twinwire serve -c config/twinwire.example.yaml"))
    .action(async (options: { config: string }) => {
      const module = await import("./serve.ts");
      finish(await module.serve(options));
    });
  const demo = new Command("demo")
    .summary("watch two PostgreSQL versions compared and switched")
    .description("Start two PostgreSQL servers and an application, and compare, report and switch.")
    .option("--exit", "end when everything was shown, instead of staying up")
    .option("--seconds <n>", "how long the application works", positive)
    .addHelpText("after", example("twinwire demo --exit"))
    .action(async ({ exit = false, ...options }: { exit?: boolean; seconds?: number }) => {
      const module = await import("./demo/demo.ts");
      finish(await module.demo({ exit, ...options }));
    });
  return [serve, demo, config, ...databaseCommands({ terminal, finish })];
}

function inspectCommands(scope: Scope): Command[] {
  return [
    adminCommand("status", "show route, coverage and verdicts", scope, printStatus).addHelpText(
      "after",
      example("twinwire status --admin http://127.0.0.1:9432 --json"),
    ),
    divergencesCommand(scope),
    rulesCommand(scope),
    adminCommand(
      "fingerprints",
      "list statements with coverage, verdicts and latency",
      scope,
      printFingerprints,
    ).addHelpText("after", example("twinwire fingerprints --json")),
    adminCommand("readiness", "show the guards of a cutover", scope, printReadiness).addHelpText(
      "after",
      example("twinwire readiness && twinwire cutover"),
    ),
    adminCommand("report", "print the report", scope, printReport)
      .addOption(
        new Option("--format <format>", "how it is written (default: md)").choices([
          "md",
          "json",
          "html",
        ]),
      )
      .addHelpText("after", example("twinwire report --format html > report.html")),
  ];
}

function divergencesCommand(scope: Scope): Command {
  const states = ["confirmed", "unsettled", "ruled", "closed", "all"];
  const one = ["<id>", "which divergence"] as const;
  return adminCommand(
    "divergences",
    "list the divergences found, show one, or do something about it",
    scope,
    printDivergences,
  )
    .argument("[id]", "the one to show")
    .addOption(new Option("--state <state>", "which ones (default: confirmed)").choices(states))
    .helpCommand(false)
    .addCommand(
      adminCommand("recheck", "ask both sides again", scope, recheckDivergence).argument(...one),
    )
    .addCommand(
      adminCommand("close", "say that it was cured", scope, closeDivergence).argument(...one),
    )
    .addCommand(
      adminCommand("ignore", "ignore it by a rule", scope, ignoreDivergence).argument(...one),
    )
    .addCommand(
      adminCommand("tolerate", "tolerate it by a rule", scope, tolerateDivergence)
        .argument(...one)
        .option("--absolute <amount>", "numbers may differ by so much", notNegative)
        .option("--relative <fraction>", "or by so much of the primary's", notNegative),
    )
    .addCommand(
      adminCommand("clean", "clean both texts before they are compared", scope, cleanDivergence)
        .argument(...one)
        .requiredOption(
          "--with <list>",
          "of trim, lower_case, collapse_space, null_is_empty",
          commaList,
        ),
    )
    .addHelpText(
      "after",
      example(
        "twinwire divergences   # exit code 4 when there are any",
        "twinwire divergences 3f9a01c2",
        "twinwire divergences recheck 3f9a01c2",
        "twinwire divergences tolerate 3f9a01c2 --absolute 0.01",
      ),
    );
}

function rulesCommand(scope: Scope): Command {
  return adminCommand("rules", "list the rules, and how often each has applied", scope, printRules)
    .helpCommand(false)
    .addCommand(
      adminCommand(
        "remove",
        "remove a rule that was made of a divergence",
        scope,
        removeRule,
      ).argument("<name>", "which rule"),
    )
    .addHelpText(
      "after",
      example("twinwire rules", 'twinwire rules remove "ignore total of 3f9a01c2"'),
    );
}

function replicateCommand(scope: Scope): Command {
  return adminCommand(
    "replicate",
    "show how NEW is filled and kept in step, start it or stop it",
    scope,
    printReplication,
  )
    .helpCommand(false)
    .addCommand(
      adminCommand("start", "fill NEW and keep both sides in step", scope, startReplication).option(
        "--no-wait",
        "do not follow it until NEW is in step",
      ),
    )
    .addCommand(
      adminCommand("stop", "stop it; it can be started again and goes on", scope, stopReplication),
    )
    .addCommand(adminCommand("status", "show how far it is", scope, printReplication))
    .addHelpText("after", example("twinwire replicate start", "twinwire replicate status --json"));
}

function verifyCommand(scope: Scope): Command {
  return adminCommand(
    "verify",
    "compare the rows of both sides, exactly, while they move",
    scope,
    verifyTables,
  )
    .addArgument(new Argument("[table...]", "tables of OLD, as schema.name; all unless given"))
    .option("--no-wait", "do not follow it to its end")
    .option(
      "--repair",
      "say how many rows of NEW would be made what they are in OLD; with --yes do so",
    )
    .option("--yes", "with --repair: do it")
    .addHelpText(
      "after",
      example("twinwire verify", "twinwire verify public.orders --repair --yes"),
    );
}

function verbCommands(scope: Scope): Command[] {
  const verbs = [
    ["cutover", "move the traffic to NEW"],
    ["rollback", "move the traffic back to OLD"],
    ["abort", "give up the running attempt"],
  ] as const;
  return [
    adminCommand("route", "move the traffic to a side, whoever replicates", scope, routeTo)
      .addArgument(new Argument("<side>", "which side answers").choices(["old", "new"]))
      .addHelpText("after", example("twinwire route new")),
    ...verbs.map(([name, summary]) =>
      adminCommand(name, summary, scope, verb(name)).addHelpText(
        "after",
        example(`twinwire ${name} --migration orders`),
      ),
    ),
    adminCommand("shadow", "switch mirroring on or off, or change its share", scope, setShadow)
      .addArgument(new Argument("[state]", "whether to mirror").choices(["on", "off"]))
      .option("--sample <share>", "share of the transactions to mirror, 0 to 1", share)
      .addHelpText("after", example("twinwire shadow on --sample 0.2", "twinwire shadow off")),
  ];
}

function share(text: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (number >= 0 && number <= 1) return number;
  throw new InvalidArgumentError("Expected a share from 0 to 1.");
}

function notNegative(text: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(number) && number >= 0) return number;
  throw new InvalidArgumentError("Expected a number not below 0.");
}

function commaList(text: string): string[] {
  return text.split(",").map((word) => word.trim());
}

function positive(text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError("Expected a number above 0.");
}

const EPILOGUE = `
Exit codes: 0 fine, 1 failed, 2 usage, 3 refused by a guard, 4 divergences found.

Examples:
  $ twinwire demo --exit
  $ twinwire serve -c twinwire.yaml
  $ twinwire status
  $ twinwire cutover && twinwire rollback
`;
