import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { CompareRule } from "../../compare/rule.ts";
import type { Side } from "../../routing/side.ts";
import type { Names } from "../../upstream/known-names.ts";
import type { MigrationSettings } from "./migration-settings.ts";

/** Whether the databases know the tables, columns and types that rules speak of. */
export type RuleNames = {
  /** Asks both sides, and warns of what neither knows. Never rejects. */
  check(): Promise<void>;
  /** Why the rule may never apply, as far as the sides were asked. */
  warningsAbout(rule: CompareRule): readonly string[];
};

type RuleNamesDeps = {
  readonly settings: Pick<MigrationSettings, "rules">;
  readonly log: Logger;
  readonly readKnownNames: (side: Side, names: Names) => Promise<Names>;
};

export function openRuleNames({ settings, log, readKnownNames }: RuleNamesDeps): RuleNames {
  /** What each side knows of the names asked for; those that were not asked for are no reason to warn. */
  let answers: { readonly asked: Names; readonly known: readonly Names[] } | undefined;
  let warned: ReadonlySet<string> = new Set();
  const warningsAbout = (rule: CompareRule): readonly string[] =>
    answers === undefined ? [] : warningsOf(rule, answers.asked, answers.known);
  return {
    warningsAbout,
    async check() {
      const asked = namesIn(settings.rules());
      try {
        const known = await Promise.all(
          (["old", "new"] as const).map((side) => readKnownNames(side, asked)),
        );
        answers = { asked, known };
      } catch (error) {
        // Only a warning hangs on it, and that a side does not answer is said elsewhere.
        log.debug({ error: messageOf(error) }, "the names in the rules were not looked up");
        return;
      }
      const found = new Set<string>();
      for (const rule of settings.rules()) {
        for (const warning of warningsAbout(rule)) {
          const text = `${rule.name}: ${warning}`;
          found.add(text);
          if (!warned.has(text)) log.warn({ rule: rule.name, warning }, "a rule may never apply");
        }
      }
      warned = found;
    },
  };
}

/** As databases know them: tables without their schemas. */
function namesIn(rules: readonly CompareRule[]): Names {
  const given = (key: "table" | "column" | "type"): string[] => [
    ...new Set(rules.flatMap(({ match }) => (match[key] === undefined ? [] : [match[key]]))),
  ];
  return {
    tables: given("table").map(withoutSchema),
    columns: given("column"),
    types: given("type"),
  };
}

function warningsOf(
  { match }: CompareRule,
  asked: Names,
  known: readonly Names[],
): readonly string[] {
  const unknown = (name: string | undefined, key: keyof Names): boolean =>
    name !== undefined &&
    asked[key].includes(name) &&
    known.every((side) => !side[key].includes(name));
  const { table, column, type } = match;
  const warnings: string[] = [];
  if (unknown(table && withoutSchema(table), "tables")) {
    warnings.push(`never applies: neither side has a table ${table}`);
  }
  if (unknown(type, "types")) warnings.push(`never applies: neither side has a type ${type}`);
  if (unknown(column, "columns")) {
    warnings.push(
      `no table of either side has a column ${column}, so it applies only where a statement calls a result so`,
    );
  }
  return warnings;
}

function withoutSchema(table: string): string {
  return table.slice(table.lastIndexOf(".") + 1);
}
