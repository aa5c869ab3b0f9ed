import type { RuleItem } from "../admin/ports.ts";
import { printJson } from "./command.ts";
import type { Session } from "./command.ts";
import { EXIT } from "./exit.ts";
import { table } from "./table.ts";
import { count, instant } from "./words.ts";

export async function printRules({ terminal, client, json, migration }: Session): Promise<number> {
  const answer = await client.get<{ readonly items: readonly RuleItem[] }>(`${migration}/rules`);
  if (json) printJson(terminal, answer);
  else terminal.out(rulesText(answer.items, terminal.columns));
  return EXIT.fine;
}

export async function removeRule(
  { terminal, client, json, migration }: Session,
  name: string | undefined,
): Promise<number> {
  const path = `${migration}/rules/${encodeURIComponent(name ?? "")}`;
  const answer = await client.delete<{ readonly removed: string }>(path);
  if (json) printJson(terminal, answer);
  else terminal.out(`removed the rule "${answer.removed}"; what it covered is open again\n`);
  return EXIT.fine;
}

function rulesText(items: readonly RuleItem[], width: number): string {
  if (items.length === 0) return "No rules.\n";
  const rows = items.map((rule) => [
    rule.name,
    actionText(rule),
    originText(rule),
    count(rule.applied),
    count(rule.covers),
  ]);
  const rules = table(
    [
      { head: "rule", stretch: true },
      { head: "does", stretch: true },
      { head: "from", stretch: true },
      { head: "applied", align: "right" },
      { head: "covers", align: "right" },
    ],
    rows,
    width,
  );
  const warnings = items.flatMap(({ name, warnings: list }) =>
    list.map((warning) => `warning: ${name}: ${warning}\n`),
  );
  return warnings.length === 0 ? rules : `${rules}\n${warnings.join("")}`;
}

function actionText({ action, match }: RuleItem): string {
  const where = Object.entries(match).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} ${value}`],
  );
  return `${doing(action)} where ${where.join(", ") || "anything"}`;
}

function doing(action: RuleItem["action"]): string {
  switch (action.kind) {
    case "ignore":
      return "ignore";
    case "tolerate": {
      const { absolute, relative, sqlstates = [] } = action;
      const amounts = [
        ...(absolute === undefined ? [] : [`absolute ${absolute}`]),
        ...(relative === undefined ? [] : [`relative ${relative}`]),
        ...sqlstates.map((group) => `SQLSTATE ${group.join(" as ")}`),
      ];
      return `tolerate ${amounts.join(", ")}`;
    }
    case "clean":
      return `clean ${action.with.join(", ")}`;
    case "sample":
      return `sample ${action.rate}`;
  }
}

function originText({ source, divergence, madeAt }: RuleItem): string {
  if (source === "file") return "configuration";
  const at = madeAt === undefined ? "" : ` ${instant(madeAt)}`;
  return divergence === undefined ? `made${at}` : `divergence ${divergence},${at}`;
}
