import type { RuleItem, RuleOutcome, RuleRemoval, RuleRequest } from "../../admin/ports.ts";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { checkRules } from "../../compare/check-rules.ts";
import type { CompareRule } from "../../compare/rule.ts";
import type { DivergenceStore } from "../../divergence/divergence-store.ts";
import { ruleFrom } from "../../divergence/rule-from-finding.ts";
import type { Side } from "../../routing/side.ts";
import type { Names } from "../../upstream/known-names.ts";
import type { MigrationSettings } from "./migration-settings.ts";
import { openRuleNames, type RuleNames } from "./rule-names.ts";

/** The rules of one migration: those of the file and those made while it runs. */
export type RuleBook = {
  list(): readonly RuleItem[];
  add(request: RuleRequest): RuleOutcome;
  remove(name: string): RuleRemoval;
  /** The file was read again. */
  reloaded(): void;
  /** Asks both sides for the names in the rules, and warns of those that neither knows. */
  checkNames(): Promise<void>;
};

type RuleBookDeps = {
  readonly settings: MigrationSettings;
  readonly verdicts: DivergenceStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly readKnownNames: (side: Side, names: Names) => Promise<Names>;
};

/** The rules that were made before are in force when it returns. */
export function openRuleBook(deps: RuleBookDeps): RuleBook {
  const { settings, verdicts, clock, log } = deps;
  const { madeRules } = verdicts;
  const names = openRuleNames(deps);
  const enforce = (): void => {
    settings.setMadeRules(madeRules.list().map(({ rule }) => rule));
    verdicts.rule(settings.rules());
  };
  const itemOf = (name: string): RuleItem | undefined =>
    listRules(settings, verdicts, names).find((item) => item.name === name);
  enforce();
  for (const { rule, problem } of checkRules(settings.rules())) {
    log.warn({ rule, warning: problem }, "a rule may never apply");
  }
  return {
    list: () => listRules(settings, verdicts, names),
    add(request) {
      const made = requestedRule(request, verdicts);
      if (made === undefined) return { kind: "not_found" };
      if (typeof made === "string") return { kind: "refused", problems: [made] };
      const problems = newProblems(settings, made);
      if (problems.length > 0) return { kind: "refused", problems };
      const divergence = "divergence" in request ? request.divergence : undefined;
      madeRules.add({ rule: made, madeAtMs: clock.nowMs(), divergence });
      enforce();
      log.info({ rule: made.name, divergence: divergence ?? null }, "a rule was made");
      void names.check();
      const rule = itemOf(made.name);
      if (rule === undefined) throw new Error("a rule that was made is not there");
      return { kind: "made", rule };
    },
    remove(name) {
      if (madeRules.remove(name)) {
        enforce();
        log.info({ rule: name }, "a rule was removed");
        return "removed";
      }
      const { rules } = settings.config().compare;
      return rules.some((rule) => rule.name === name) ? "in_file" : "not_found";
    },
    reloaded() {
      enforce();
      void names.check();
    },
    checkNames: () => names.check(),
  };
}

function listRules(
  settings: MigrationSettings,
  verdicts: DivergenceStore,
  names: RuleNames,
): readonly RuleItem[] {
  const { madeRules } = verdicts;
  const more = (name: string, rule: CompareRule | undefined) => ({
    applied: madeRules.timesApplied(name),
    covers: verdicts.ruledBy(name),
    warnings: rule === undefined ? [] : names.warningsAbout(rule),
  });
  const ofFile = settings.config().compare.rules.map(({ name, match, action }): RuleItem => {
    const rule = action.kind === "sample" ? undefined : { name, match, action };
    return { name, match, action, source: "file", ...more(name, rule) };
  });
  const made = madeRules.list().map(({ rule, madeAtMs, divergence }): RuleItem => ({
    ...rule,
    source: "api",
    ...(divergence === undefined ? {} : { divergence }),
    madeAt: new Date(madeAtMs).toISOString(),
    ...more(rule.name, rule),
  }));
  return [...ofFile, ...made];
}

/** @returns the rule, a sentence that says why there can be none, or nothing without the divergence. */
function requestedRule(
  request: RuleRequest,
  { divergence }: DivergenceStore,
): CompareRule | string | undefined {
  if ("name" in request) return request;
  const item = divergence(request.divergence);
  return item === undefined ? undefined : ruleFrom(item, request.action);
}

/** What would be wrong with the rules if this one were among them, and is not already. */
function newProblems(settings: MigrationSettings, made: CompareRule): readonly string[] {
  const sentence = ({ rule, problem }: { rule: string; problem: string }): string =>
    `${rule}: ${problem}`;
  const before = new Set(checkRules(settings.rules()).map(sentence));
  const problems = checkRules([...settings.rules(), made]).map(sentence);
  const taken = settings
    .config()
    .compare.rules.some(({ name, action }) => name === made.name && action.kind === "sample");
  if (taken) problems.push(`${made.name}: another rule has the same name`);
  return problems.filter((problem) => !before.has(problem));
}
