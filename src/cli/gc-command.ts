import { findOwnOnBothSides, removeOwn } from "../replication/protection/gc.ts";
import type { OwnObject, Removal } from "../replication/protection/gc.ts";
import { printJson } from "./command.ts";
import { EXIT } from "./exit.ts";
import { withDatabases } from "./standalone.ts";
import { table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export type GcOptions = {
  readonly config: string;
  readonly migration?: string;
  readonly json?: boolean;
  readonly remove?: boolean;
  readonly force?: boolean;
};

/**
 * Lists everything of Twinwire's in both databases, or removes it. With `--migration` only what belongs to that one.
 * @returns 3 when something had to stay
 */
export async function collectGarbage(terminal: Terminal, options: GcOptions): Promise<number> {
  return withDatabases(terminal, options, async (databases) => {
    const known = [databases.config.name];
    const found = await findOwnOnBothSides(databases, known, options.migration);
    if (options.remove !== true) {
      if (options.json === true) printJson(terminal, { found });
      else printFound(terminal, found);
      return EXIT.fine;
    }
    const removals: Removal[] = [];
    for (const side of ["old", "new"] as const) {
      const there = found.filter((object) => object.side === side);
      const said = (sql: string): void => {
        if (options.json !== true) terminal.out(`${side.toUpperCase()}  ${sql};\n`);
      };
      removals.push(...(await removeOwn(databases[side], there, options.force === true, said)));
    }
    const kept = removals.filter(({ outcome }) => outcome.kind === "kept");
    if (options.json === true) printJson(terminal, { removals });
    else printKept(terminal, kept, removals.length - kept.length);
    return kept.length > 0 ? EXIT.refused : EXIT.fine;
  });
}

function printFound(terminal: Terminal, found: readonly OwnObject[]): void {
  if (found.length === 0) {
    terminal.out("Nothing of Twinwire's is left in either database.\n");
    return;
  }
  const rows = found.map(({ side, kind, name, inUse, elsewhere, sql }) => [
    side.toUpperCase(),
    kind,
    name,
    inUse ? "in use" : elsewhere ? "of another database?" : "",
    sql.join("; "),
  ]);
  const columns = [{ head: "side" }, { head: "kind" }, { head: "name" }, { head: "state" }];
  terminal.out(table([...columns, { head: "removed by", stretch: true }], rows, terminal.columns));
}

function printKept(terminal: Terminal, kept: readonly Removal[], removed: number): void {
  for (const { object, outcome } of kept) {
    const why = outcome.kind === "kept" ? outcome.why : "";
    terminal.err(`kept: ${object.kind} ${object.name} on ${object.side.toUpperCase()}: ${why}\n`);
  }
  terminal.out(`${removed} removed, ${kept.length} kept.\n`);
}
