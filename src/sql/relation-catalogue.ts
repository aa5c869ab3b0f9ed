import type { Noise, Statement } from "./statement.ts";

/** What is known of the relations of both databases, by name as written in a statement. */
export type RelationCatalogue = {
  /** Whether every table of the name has a unique key among these columns, on both sides; undefined: not known. */
  hasKey(table: string, columns: ReadonlySet<string>): boolean | undefined;
  /** What reading the relation brings with it that no statement shows: a LIMIT in a view, the state of a sequence. */
  noise(relation: string): readonly Noise[];
};

/** What a statement is, once it is known what its names mean. The same object when that changes nothing. */
export function withRelations(statement: Statement, relations: RelationCatalogue): Statement {
  const noise = new Set(statement.noise);
  for (const name of statement.tables) {
    for (const hidden of relations.noise(name)) noise.add(hidden);
  }
  const total = isTotal(statement, relations);
  const { order } = statement;
  if (total === true && statement.order.kind === "any") noise.delete("underspecified");
  const ties = total === false && order.kind === "keys";
  const settled = total === true && order.kind === "keys";
  if (!ties && !settled && sameNoise(noise, statement.noise)) return statement;
  return {
    ...statement,
    noise: [...noise],
    ...(ties ? { ties } : {}),
    // Without ties at its edge a limit leaves nothing open: what is not the same is a difference.
    ...(settled ? { order: { ...order, limited: false } } : {}),
  };
}

/** Whether the rows that a limit leaves are determined: what is fixed and what sorts hold a unique key. */
function isTotal({ oneTable }: Statement, relations: RelationCatalogue): boolean | undefined {
  if (oneTable === undefined) return undefined;
  const { table, fixed, sorted } = oneTable;
  return relations.hasKey(table, new Set([...fixed, ...sorted]));
}

function sameNoise(noise: ReadonlySet<Noise>, list: readonly Noise[]): boolean {
  return noise.size === list.length && list.every((each) => noise.has(each));
}

/** What the text of a statement leaves open, a finding of its own whether or not the sides have differed because of it. */
export const ADVICE = {
  underspecified:
    "LIMIT, OFFSET, DISTINCT ON, row_number() or FETCH without ORDER BY: which rows it gives is up to the plan",
  ties: "ORDER BY holds no unique key: which of the tied rows come before the LIMIT is up to the plan",
  unordered_aggregate:
    "it aggregates rows without ORDER BY: in which order they come is up to the plan",
} as const;

export type Advice = keyof typeof ADVICE;

export function adviceOf({ noise, ties }: Statement): readonly Advice[] {
  const advice: Advice[] = [];
  if (noise.includes("underspecified")) advice.push("underspecified");
  if (ties === true) advice.push("ties");
  if (noise.includes("unordered_aggregate")) advice.push("unordered_aggregate");
  return advice;
}
