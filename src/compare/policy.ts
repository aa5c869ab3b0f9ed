import type { Statement } from "../sql/statement.ts";
import type { CompareRule } from "./rule.ts";
import type { Column } from "./columns.ts";

/** What the rules say about one statement. */
export type StatementPolicy = {
  /** A rule ignores the statement as a whole. */
  readonly ignored: boolean;
  /** A rule calls these two SQLSTATEs alike. */
  isAlike(primary: string, shadow: string): boolean;
  /** What they say about a column. */
  column(column: Column): ColumnPolicy;
};

/** What the rules say about one column. */
export type ColumnPolicy = {
  readonly ignored: boolean;
  readonly absolute: number | undefined;
  readonly relative: number | undefined;
  readonly clean: ReadonlySet<Cleaning>;
};

type Cleaning = Extract<CompareRule["action"], { kind: "clean" }>["with"][number];

/**
 * The rules that hold for a statement.
 *
 * @param applied called once with each rule that ignores it or speaks of a column that is compared
 */
export function policyFor(
  statement: Statement | undefined,
  rules: readonly CompareRule[],
  applied?: (rule: CompareRule) => void,
): StatementPolicy {
  const relevant = rules.filter((rule) => appliesTo(rule, statement));
  if (relevant.length === 0) return NO_POLICY;
  const ignoring = relevant.find(
    ({ action, match }) =>
      action.kind === "ignore" && match.column === undefined && match.type === undefined,
  );
  const once = applied === undefined ? undefined : onceEach(applied);
  if (ignoring !== undefined) once?.(ignoring);
  return {
    ignored: ignoring !== undefined,
    isAlike(primary, shadow) {
      const rule = relevant.find(
        ({ action }) =>
          action.kind === "tolerate" &&
          action.sqlstates?.some((group) => group.includes(primary) && group.includes(shadow)),
      );
      if (rule !== undefined) once?.(rule);
      return rule !== undefined;
    },
    column: (column) => columnPolicy(relevant, column, once),
  };
}

function onceEach(applied: (rule: CompareRule) => void): (rule: CompareRule) => void {
  const told = new Set<CompareRule>();
  return (rule) => {
    if (told.has(rule)) return;
    told.add(rule);
    applied(rule);
  };
}

/** A text as the rules want it cleaned. */
export function cleaned(text: string, clean: ReadonlySet<Cleaning>): string {
  let result = text;
  if (clean.has("trim")) result = result.trim();
  if (clean.has("collapse_space")) result = result.replace(/\s+/g, " ");
  if (clean.has("lower_case")) result = result.toLowerCase();
  return result;
}

const NO_COLUMN_POLICY: ColumnPolicy = {
  ignored: false,
  absolute: undefined,
  relative: undefined,
  clean: new Set(),
};
const NO_POLICY: StatementPolicy = {
  ignored: false,
  isAlike: () => false,
  column: () => NO_COLUMN_POLICY,
};

function columnPolicy(
  rules: readonly CompareRule[],
  column: Column,
  applied: ((rule: CompareRule) => void) | undefined,
): ColumnPolicy {
  let ignored = false;
  let absolute: number | undefined;
  let relative: number | undefined;
  const clean = new Set<Cleaning>();
  for (const rule of rules) {
    const { match, action } = rule;
    if (match.column !== undefined && match.column !== column.name) continue;
    if (match.type !== undefined && match.type !== column.typeName) continue;
    applied?.(rule);
    if (action.kind === "ignore") {
      ignored = true;
    } else if (action.kind === "tolerate") {
      absolute = widest(absolute, action.absolute);
      relative = widest(relative, action.relative);
    } else {
      for (const cleaning of action.with) clean.add(cleaning);
    }
  }
  return { ignored, absolute, relative, clean };
}

function widest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}

function appliesTo({ match }: CompareRule, statement: Statement | undefined): boolean {
  const { fingerprint, table } = match;
  if (fingerprint !== undefined && fingerprint !== statement?.fingerprint) return false;
  if (table === undefined) return true;
  return statement?.tables.some((name) => isSameTable(table, name)) ?? false;
}

/** `orders` and `public.orders` may be one table: the search path, not the text, decides. */
function isSameTable(a: string, b: string): boolean {
  if (a === b) return true;
  return a.includes(".") !== b.includes(".") && lastPart(a) === lastPart(b);
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
