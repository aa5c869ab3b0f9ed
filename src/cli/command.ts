import { Command } from "commander";
import type { MigrationStatus } from "../admin/ports.ts";
import { openAdminClient } from "./admin-client.ts";
import type { AdminClient } from "./admin-client.ts";
import { CommandError, EXIT } from "./exit.ts";
import type { Terminal } from "./terminal.ts";

/** What a command that talks to a running Twinwire is given. */
export type Session = {
  readonly terminal: Terminal;
  readonly client: AdminClient;
  /** Print what the API says instead of text for people. */
  readonly json: boolean;
  /** The words behind the command. */
  readonly words: readonly string[];
  /** Path of the migration's part of the API, without a slash at the end. */
  readonly migration: string;
};

type CommonOptions = {
  readonly admin: string;
  readonly token?: string;
  readonly migration?: string;
  readonly json?: boolean;
};

/** Runs with the command's own arguments and options. @returns the exit code. */
export type Action<Options> = (
  session: Session,
  argument: string | undefined,
  options: Options,
) => Promise<number>;

/** Where a command writes, and whom it tells its exit code. */
export type Scope = {
  readonly terminal: Terminal;
  readonly finish: (exitCode: number) => void;
};

/** A command that is a client of the admin API, with the options they all have. */
export function adminCommand<Options extends object = object>(
  name: string,
  summary: string,
  { terminal, finish }: Scope,
  action: Action<Options>,
): Command {
  const { env } = terminal;
  const admin = env["TWINWIRE_ADMIN"] ?? "http://127.0.0.1:9432";
  const description = `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
  return new Command(name)
    .summary(summary)
    .description(description)
    .option("--admin <url>", "admin API of the running Twinwire, or TWINWIRE_ADMIN", admin)
    .option("--token <token>", "its token; better in TWINWIRE_TOKEN, where `ps` does not show it")
    .option("--migration <name>", "which migration, where there are several")
    .option("--json", "print what the API answers")
    .action(async (...given: unknown[]) => {
      // Commander passes the arguments, then the options, then the command. Options that the command
      // above knows too are that one's, wherever they stand.
      const command = given.at(-1) as Command;
      const options = command.optsWithGlobals() as Options & CommonOptions;
      const [argument] = command.args;
      const token = options.token ?? env["TWINWIRE_TOKEN"];
      const client = openAdminClient({ admin: options.admin, token: token || undefined });
      const migrationName = options.migration ?? (await onlyMigration(client));
      const migration = `/api/v1/migrations/${encodeURIComponent(migrationName)}`;
      const session = {
        terminal,
        client,
        json: options.json === true,
        words: command.args,
        migration,
      };
      finish(await action(session, argument, options));
    });
}

/** Prints what the API answered. */
export function printJson(terminal: Terminal, value: unknown): void {
  terminal.out(`${JSON.stringify(value, null, 2)}\n`);
}

async function onlyMigration(client: AdminClient): Promise<string> {
  const { items } = await client.get<{ items: readonly MigrationStatus[] }>("/api/v1/migrations");
  const [only] = items;
  if (only !== undefined && items.length === 1) return only.name;
  const names = items.map(({ name }) => name).join(", ");
  throw new CommandError(
    names === "" ? "there is no migration" : `--migration is needed, one of: ${names}`,
    EXIT.usage,
  );
}
