import type { CompareRule } from "../../compare/rule.ts";
import type { CompareRuleConfig, MigrationConfig, ShadowConfig } from "../../config/config.ts";
import type { Statement } from "../../sql/statement.ts";

/** The part of a migration's configuration that can change while it runs. */
export type MigrationSettings = {
  readonly config: () => MigrationConfig;
  readonly shadow: () => ShadowConfig;
  /** Those of the file, then those that were made since. */
  readonly rules: () => readonly CompareRule[];
  readonly rulesOfFile: () => readonly CompareRule[];
  setMadeRules(made: readonly CompareRule[]): void;
  /** A rule samples the statement, and this time it is not drawn. */
  readonly excluded: (statement: Statement) => boolean;
  /** After SIGHUP. What the operator has set over the API meanwhile gives way. */
  replace(config: MigrationConfig): void;
  /** The operator's word over the API; lasts until a restart or reload. */
  setShadow(change: {
    readonly enabled?: boolean | undefined;
    readonly sample?: number | undefined;
  }): void;
};

export function openSettings(first: MigrationConfig, random: () => number): MigrationSettings {
  let config = first;
  let shadow = first.shadow;
  let rulesOfFile = first.compare.rules.flatMap(compareRule);
  let made: readonly CompareRule[] = [];
  let rules: readonly CompareRule[] = rulesOfFile;
  let samples = first.compare.rules.filter(isSample);
  return {
    config: () => config,
    shadow: () => shadow,
    rules: () => rules,
    rulesOfFile: () => rulesOfFile,
    setMadeRules(next) {
      made = next;
      rules = [...rulesOfFile, ...made];
    },
    excluded: (statement) =>
      samples.some(({ match, action }) => matches(match, statement) && random() >= action.rate),
    replace(next) {
      config = next;
      shadow = next.shadow;
      rulesOfFile = next.compare.rules.flatMap(compareRule);
      rules = [...rulesOfFile, ...made];
      samples = next.compare.rules.filter(isSample);
    },
    setShadow({ enabled, sample }) {
      shadow = {
        ...shadow,
        enabled: enabled ?? shadow.enabled,
        sample: sample ?? shadow.sample,
      };
    },
  };
}

type SampleRule = CompareRuleConfig & {
  readonly action: { readonly kind: "sample"; readonly rate: number };
};

function isSample(rule: CompareRuleConfig): rule is SampleRule {
  return rule.action.kind === "sample";
}

function compareRule({ name, match, action }: CompareRuleConfig): CompareRule[] {
  return action.kind === "sample" ? [] : [{ name, match, action }];
}

function matches(match: CompareRuleConfig["match"], statement: Statement): boolean {
  if (match.fingerprint !== undefined && match.fingerprint !== statement.fingerprint) return false;
  return match.table === undefined || statement.tables.includes(match.table);
}
