import type { CompareRule } from "../compare/rule.ts";
import type { EmbeddedDatabase } from "../control/embedded-database.ts";
import {
  DELETE_RULE,
  DELETE_RULE_USE,
  INSERT_RULE,
  SELECT_RULE_USE,
  SELECT_RULES,
} from "./schema.ts";

/** A rule that was made while Twinwire ran, and what it was made from. */
export type MadeRule = {
  readonly rule: CompareRule;
  readonly madeAtMs: number;
  /** Id of the divergence it was made from. */
  readonly divergence: string | undefined;
};

/** The rules that were made of one migration, and how often each rule, the file's too, has applied. */
export type MadeRules = {
  list(): readonly MadeRule[];
  /** On the disk when it returns. @throws {CodedError} `store_failed` */
  add(made: MadeRule): void;
  /** @returns whether there was one */
  remove(name: string): boolean;
  /** Hot path. */
  applied(name: string): void;
  timesApplied(name: string): number;
  /** Counts that changed since they were stored, as rows to write. */
  unstored(): readonly { readonly name: string; readonly applied: number }[];
  stored(name: string, applied: number): void;
};

/** The database holds the tables of `DIVERGENCE_SCHEMA`. */
export function openMadeRules(database: EmbeddedDatabase, migration: string): MadeRules {
  const made = new Map<string, MadeRule>();
  for (const row of database.all(SELECT_RULES, [migration])) {
    const divergence = row["divergence"];
    made.set(String(row["name"]), {
      rule: JSON.parse(String(row["document"])) as CompareRule,
      madeAtMs: Number(row["made_at_ms"]),
      divergence: typeof divergence === "string" ? divergence : undefined,
    });
  }
  const uses = new Map<string, { applied: number; storedApplied: number }>();
  for (const row of database.all(SELECT_RULE_USE, [migration])) {
    const applied = Number(row["applied"]);
    uses.set(String(row["name"]), { applied, storedApplied: applied });
  }
  return {
    list: () => [...made.values()],
    add(entry) {
      const { rule, madeAtMs, divergence = null } = entry;
      database.transaction("durable", () => {
        database.run(INSERT_RULE, [
          migration,
          rule.name,
          JSON.stringify(rule),
          Math.trunc(madeAtMs),
          divergence,
        ]);
        // Another rule of this name may have been here before.
        database.run(DELETE_RULE_USE, [migration, rule.name]);
      });
      made.set(rule.name, entry);
      uses.delete(rule.name);
    },
    remove(name) {
      if (!made.has(name)) return false;
      database.transaction("durable", () => {
        database.run(DELETE_RULE, [migration, name]);
        database.run(DELETE_RULE_USE, [migration, name]);
      });
      uses.delete(name);
      return made.delete(name);
    },
    applied(name) {
      const use = uses.get(name);
      if (use === undefined) uses.set(name, { applied: 1, storedApplied: 0 });
      else use.applied++;
    },
    timesApplied: (name) => uses.get(name)?.applied ?? 0,
    unstored: () =>
      [...uses]
        .filter(([, use]) => use.applied !== use.storedApplied)
        .map(([name, { applied }]) => ({ name, applied })),
    stored(name, applied) {
      const use = uses.get(name);
      if (use !== undefined) use.storedApplied = applied;
    },
  };
}
