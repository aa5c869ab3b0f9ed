import type { CompareRule } from "../compare/rule.ts";
import { OTHER } from "./coverage-table.ts";
import type { DivergenceItem } from "./items.ts";
import { coversGroup, NUMBERS, TEXTS } from "./rule-cover.ts";

/**
 * The rule that a finding asks for: about its statement, and its column where it has one.
 * @returns a sentence instead where the action is none for this difference.
 */
export function ruleFrom(
  item: DivergenceItem,
  action: CompareRule["action"],
): CompareRule | string {
  const { id, fingerprint, column, reason } = item;
  if (fingerprint === OTHER) {
    return "it counts differences of many statements together, and a rule needs one statement or column";
  }
  const name = `${action.kind} ${column ?? "statement"} of ${id}`;
  const match = column === undefined ? { fingerprint } : { fingerprint, column };
  const rule: CompareRule = { name, match, action };
  if (coversGroup(rule, { fingerprint, reason, column, tables: [] })) return rule;
  switch (action.kind) {
    case "ignore":
      return `no rule about a statement covers the difference ${reason}`;
    case "tolerate":
      return `tolerate is for numbers (${[...NUMBERS].join(", ")}), and the difference is ${reason}`;
    case "clean":
      return `clean is for texts (${[...TEXTS].join(", ")}, or null_value with null_is_empty), and the difference is ${reason}`;
  }
}
