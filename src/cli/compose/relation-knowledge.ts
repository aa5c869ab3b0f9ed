import { Buffer } from "node:buffer";
import type { Comparer } from "../../compare/compare.ts";
import type { Side } from "../../routing/side.ts";
import type { Analyser } from "../../sql/analyser.ts";
import { withRelations } from "../../sql/relation-catalogue.ts";
import type { RelationCatalogue } from "../../sql/relation-catalogue.ts";
import type { Noise, Statement } from "../../sql/statement.ts";
import type { Relation, Relations } from "../../upstream/relations.ts";

/**
 * What a view may hide that asking again does not bring to light: each side answers the same for ever. The clock and chance are
 * left to the recheck, which sees the primary disagree with itself and names the column.
 */
const LASTING: ReadonlySet<Noise> = new Set(["server", "underspecified", "unordered_aggregate"]);

/** What both sides' catalogues say of names in statements. A name without schema stands for all that have it. */
export function openRelationKnowledge(
  analyser: Analyser,
  relationsOf: (side: Side) => Relations | undefined,
): RelationCatalogue {
  /** A view may read a relation of its own name in another schema. */
  const visiting = new Set<string>();
  const onSide = (side: Side, name: string): readonly Relation[] =>
    relationsOf(side)?.byName.get(bareName(name)) ?? [];
  const noiseOnSide = (side: Side, name: string): ReadonlySet<Noise> => {
    const relations = onSide(side, name);
    if (relations.length === 0) return NONE;
    if (relations.every(({ kind }) => kind === "sequence")) return OF_A_SEQUENCE;
    return new Set(relations.flatMap(noiseOfView));
  };
  const noiseOfView = (relation: Relation): readonly Noise[] => {
    if (relation.kind !== "view") return [];
    const definition = Buffer.from(relation.definition);
    const [body] = analyser.analyse(definition, 0, definition.length).statements;
    if (body === undefined) return [];
    return withRelations(body, knowledge).noise.filter((noise) => LASTING.has(noise));
  };
  const knowledge: RelationCatalogue = {
    hasKey(table, columns) {
      const tables = [...onSide("old", table), ...onSide("new", table)];
      if (onSide("old", table).length === 0 || onSide("new", table).length === 0) return undefined;
      return tables.every((each) => each.kind === "table" && each.keys.some(isAmong(columns)));
    },
    noise(name) {
      if (visiting.has(name)) return [];
      visiting.add(name);
      try {
        // What only one side's view holds is a difference between them.
        const other = noiseOnSide("new", name);
        return [...noiseOnSide("old", name)].filter((noise) => other.has(noise));
      } finally {
        visiting.delete(name);
      }
    },
  };
  return knowledge;
}

/** Compares by what is known of each statement. */
export function compareKnowing(
  compare: Comparer,
  known: (statement: Statement) => Statement,
): Comparer {
  return (primary, shadow, context) => {
    // Hot path: mostly nothing more is known of a statement than its text says.
    const { statements } = context;
    return statements.every((statement) => known(statement) === statement)
      ? compare(primary, shadow, context)
      : compare(primary, shadow, { ...context, statements: statements.map(known) });
  };
}

const NONE: ReadonlySet<Noise> = new Set();
const OF_A_SEQUENCE: ReadonlySet<Noise> = new Set(["server"]);

function isAmong(columns: ReadonlySet<string>): (key: readonly string[]) => boolean {
  return (key) => key.length > 0 && key.every((column) => columns.has(column));
}

function bareName(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
