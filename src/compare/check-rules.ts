import type { CompareRule } from "./rule.ts";

/** What is wrong with a rule, as far as the rules alone can tell. */
export type RuleProblem = { readonly rule: string; readonly problem: string };

/** Names the rules that contradict each other or cannot match anything. */
export function checkRules(rules: readonly CompareRule[]): RuleProblem[] {
  const problems = rules.flatMap((rule, index) => [
    ...problemsOf(rule),
    ...problemsWith(rule, rules.slice(0, index)),
  ]);
  return problems.map(([rule, problem]) => ({ rule, problem }));
}

type Problem = readonly [rule: string, problem: string];

const NUMBERS = new Set(["int2", "int4", "int8", "oid", "numeric", "float4", "float8", "money"]);
const CONDITIONS = ["fingerprint", "table", "column", "type"] as const;

function problemsOf({ name, match, action }: CompareRule): Problem[] {
  const problems = [...conditionProblems(match), ...actionProblems(action, match)];
  return problems.map((problem): Problem => [name, problem]);
}

function conditionProblems(match: CompareRule["match"]): string[] {
  const problems: string[] = [];
  if (match.fingerprint !== undefined && !/^[\da-f]{16}$/.test(match.fingerprint)) {
    problems.push("never matches: a fingerprint has 16 hexadecimal digits in lower case");
  }
  for (const condition of CONDITIONS) {
    if (match[condition]?.trim() === "") {
      problems.push(`never matches: its ${condition} is empty`);
    }
  }
  return problems;
}

function actionProblems(
  action: CompareRule["action"],
  match: CompareRule["match"],
): readonly string[] {
  const isNumber = match.type !== undefined && NUMBERS.has(match.type);
  switch (action.kind) {
    case "ignore":
      return CONDITIONS.every((key) => match[key] === undefined)
        ? ["matches every statement, so nothing would be compared"]
        : [];
    case "tolerate":
      if (action.sqlstates !== undefined) return sqlstateProblems(action, match);
      return match.type === undefined || isNumber
        ? toleranceProblems(action)
        : [`never applies: ${match.type} is no type of number that can differ by an amount`];
    case "clean":
      if (action.with.length === 0) return ["cleans nothing"];
      return isNumber && !action.with.includes("null_is_empty")
        ? ["never applies: numbers are not cleaned as text"]
        : [];
  }
}

function toleranceProblems(
  action: Extract<CompareRule["action"], { kind: "tolerate" }>,
): readonly string[] {
  const { absolute, relative } = action;
  const problems: string[] = [];
  if (absolute === undefined && relative === undefined) {
    problems.push("tolerates nothing: it names neither an absolute nor a relative amount");
  }
  for (const amount of [absolute, relative]) {
    if (amount !== undefined && !(amount >= 0 && Number.isFinite(amount))) {
      problems.push("tolerates an amount that is negative or no number");
    }
  }
  if (relative !== undefined && relative >= 1) {
    problems.push("tolerates every difference: a relative amount is a fraction of 1");
  }
  return problems;
}

function sqlstateProblems(
  { sqlstates = [], absolute, relative }: Extract<CompareRule["action"], { kind: "tolerate" }>,
  match: CompareRule["match"],
): readonly string[] {
  const problems: string[] = [];
  if (match.column !== undefined || match.type !== undefined) {
    problems.push("never applies: an error is of a whole statement, not of a column or type");
  }
  if (absolute !== undefined || relative !== undefined) {
    problems.push("mixes amounts and SQLSTATEs: they need a rule each");
  }
  for (const group of sqlstates) {
    if (new Set(group).size < 2) problems.push("calls a SQLSTATE alike to itself only");
    const wrong = group.find((sqlstate) => !/^[\dA-Z]{5}$/.test(sqlstate));
    if (wrong !== undefined) problems.push(`never applies: ${wrong} is no SQLSTATE`);
  }
  return problems;
}

function problemsWith(rule: CompareRule, earlier: readonly CompareRule[]): Problem[] {
  const problems: Problem[] = [];
  for (const other of earlier) {
    if (other.name === rule.name) problems.push([rule.name, "another rule has the same name"]);
    if (other.action.kind === "ignore" && covers(other, rule)) {
      problems.push([rule.name, `never applies: rule ${other.name} ignores all that it matches`]);
    } else if (rule.action.kind === "ignore" && covers(rule, other)) {
      problems.push([other.name, `never applies: rule ${rule.name} ignores all that it matches`]);
    } else if (isSameMatch(rule, other) && actionOf(rule) === actionOf(other)) {
      problems.push([rule.name, `has the same conditions and action as rule ${other.name}`]);
    }
  }
  return problems;
}

/** Whether all that the second matches is matched by the first. */
function covers(first: CompareRule, second: CompareRule): boolean {
  return CONDITIONS.every(
    (key) => first.match[key] === undefined || first.match[key] === second.match[key],
  );
}

function isSameMatch(a: CompareRule, b: CompareRule): boolean {
  return CONDITIONS.every((key) => a.match[key] === b.match[key]);
}

/** Amounts and SQLSTATEs are tolerated independently of each other. */
function actionOf({ action }: CompareRule): string {
  const isOfErrors = action.kind === "tolerate" && action.sqlstates !== undefined;
  return isOfErrors ? "tolerate sqlstates" : action.kind;
}
