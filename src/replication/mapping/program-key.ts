import { quoteTable, tableKey } from "../table-shape.ts";
import type { TableShape } from "../table-shape.ts";
import type { ProgramPlan } from "./program-plan.ts";
import type { RowProgram } from "./row-program.ts";

export type ProgramKey =
  | { readonly kind: "key"; readonly parts: RowProgram["key"]; readonly note?: string | undefined }
  | { readonly kind: "none"; readonly why: string; readonly cure: string };

/** By which columns a row is found in the target: a key there whose values the source's log always gives. */
export function keyOfProgram(plan: ProgramPlan): ProgramKey {
  const { source, target } = plan;
  if (source.identityKind === "nothing" || source.identity.length === 0) return noIdentity(source);
  const targetKeys = keysOf(target);
  const fitting = targetKeys
    .map((key) => partsOf(plan, key))
    .find((parts) => parts !== undefined && isLogged(source, parts));
  if (fitting !== undefined) return { kind: "key", parts: fitting };
  const own = sourceKey(plan);
  if (own === undefined) {
    return source.identityKind === "full" ? withoutKey(plan, targetKeys) : unreachable(plan);
  }
  const names = own.map(({ target: name }) => name);
  const around = targetKeys.find((key) => names.every((name) => key.includes(name)));
  if (around === undefined && targetKeys.length > 0) return uncovered(plan, names);
  return around === undefined
    ? withoutIndex(plan, own)
    : { kind: "key", parts: own, note: wider(plan, names, around) };
}

/** The primary key first; keys that may hold NULL name nothing. */
function keysOf(table: TableShape): (readonly string[])[] {
  const nullable = new Set(table.columns.filter((each) => each.nullable).map(({ name }) => name));
  const unique = table.uniqueKeys.filter((key) => !key.some((name) => nullable.has(name)));
  return [table.primaryKey, ...unique].filter((key) => key.length > 0);
}

/** undefined where one of the key's columns is neither copied nor constant, or nothing is copied. */
function partsOf(plan: ProgramPlan, key: readonly string[]): RowProgram["key"] | undefined {
  const parts = key.map((target) => {
    const step = plan.steps.get(target);
    if (step?.kind === "copy") return { target, source: step.source };
    if (step?.kind === "constant" && step.value !== null) {
      return { target, source: "", constant: step.value };
    }
    return undefined;
  });
  const found = parts.filter((part) => part !== undefined);
  if (found.length < parts.length || found.every((part) => part.source === "")) return undefined;
  return [
    ...found.filter((part) => part.source !== ""),
    ...found.filter((part) => part.source === ""),
  ];
}

function isLogged(source: TableShape, parts: RowProgram["key"]): boolean {
  return parts.every((part) => part.source === "" || source.identity.includes(part.source));
}

/** What names a row in the source, in the target's columns. */
function sourceKey(plan: ProgramPlan): RowProgram["key"] | undefined {
  const { source } = plan;
  const keys = source.identityKind === "full" ? keysOf(source) : [source.identity];
  for (const key of keys) {
    const parts = key.map((name) => {
      const target = [...plan.steps].find(
        ([, step]) => step.kind === "copy" && step.source === name,
      );
      return target === undefined ? undefined : { target: target[0], source: name };
    });
    const found = parts.filter((part) => part !== undefined);
    if (found.length === parts.length) return found;
  }
  return undefined;
}

function noIdentity(source: TableShape): ProgramKey {
  return {
    kind: "none",
    why: `the log does not say which row of ${tableKey(source)} is changed or deleted`,
    cure: `ALTER TABLE ${quoteTable(source)} REPLICA IDENTITY FULL; or give it a primary key`,
  };
}

/** Rows are named by all their values, where no key of the target could be missed. */
function withoutKey(plan: ProgramPlan, targetKeys: readonly (readonly string[])[]): ProgramKey {
  if (targetKeys.length === 0) return { kind: "key", parts: [] };
  return unreachable(plan);
}

function unreachable({ source, target }: ProgramPlan): ProgramKey {
  return {
    kind: "none",
    why: `what names a row of ${tableKey(source)} does not name one of ${tableKey(target)}`,
    cure: `keep the columns ${list(source.identity)} in the mapping, and give ${tableKey(target)} a key of them`,
  };
}

function uncovered({ source, target }: ProgramPlan, names: readonly string[]): ProgramKey {
  return {
    kind: "none",
    why: `no key of ${tableKey(target)} holds what names a row of ${tableKey(source)}`,
    cure: `CREATE UNIQUE INDEX ON ${quoteTable(target)} (${names.map((name) => `"${name}"`).join(", ")}); where its columns must not be NULL`,
  };
}

/** Without any key each change would read the whole table. */
function withoutIndex(plan: ProgramPlan, own: RowProgram["key"]): ProgramKey {
  return uncovered(
    plan,
    own.map(({ target }) => target),
  );
}

/** As of a partitioned table, whose key must hold what it is partitioned by. */
function wider(
  { source, target }: ProgramPlan,
  names: readonly string[],
  around: readonly string[],
): string {
  return `${tableKey(target)} has the key ${list(around)}, and ${list(names)} alone names a row of ${tableKey(source)}`;
}

function list(names: readonly string[]): string {
  return `(${names.join(", ")})`;
}
