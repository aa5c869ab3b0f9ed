import type { TypeNames } from "../context.ts";
import type { DifferenceReason } from "../verdict.ts";
import { divergent, latin1, tolerated } from "./value.ts";
import type { Difference, Family, Raw, Value } from "./value.ts";

/** The family of a type by its name in `pg_type`; unknown names have one as well. */
export type FamilyOf = (typeName: string | undefined) => Family;

/** A value made of values: what holds it together, and the pieces in order. */
export type Structure = { readonly shape: string; readonly pieces: readonly Piece[] };
export type Piece = { readonly family: Family; readonly raw: Raw | null };

/** A family whose values are compared piece by piece: arrays, ranges, records, shapes. */
export function structuredFamily(options: {
  readonly group: string;
  readonly read: (raw: Raw, types: TypeNames) => Structure | undefined;
  /** When the shapes or a piece differ. */
  readonly differs: DifferenceReason;
}): Family {
  const { read, group, differs } = options;
  return {
    group,
    canonical: ({ raw, types }) => {
      const structure = read(raw, types);
      return structure && canonicalStructure(structure, types);
    },
    compare: (primary, shadow) => {
      const a = read(primary.raw, primary.types);
      const b = read(shadow.raw, shadow.types);
      if (a === undefined || b === undefined) return divergent(differs);
      if (a.shape !== b.shape || a.pieces.length !== b.pieces.length) return divergent(differs);
      const difference = comparePieces(a, b, primary.types, shadow.types);
      if (difference?.tolerated === false) return divergent(differs);
      const bothText = typeof primary.raw === "string" && typeof shadow.raw === "string";
      return difference ?? (bothText ? tolerated("value_format") : undefined);
    },
  };
}

function comparePieces(
  a: Structure,
  b: Structure,
  typesOfA: TypeNames,
  typesOfB: TypeNames,
): Difference | undefined {
  let found: Difference | undefined;
  for (const [index, piece] of a.pieces.entries()) {
    const other = b.pieces[index];
    if (other === undefined || piece.raw === null || other.raw === null) {
      if (piece.raw !== other?.raw) return divergent("null_value");
      continue;
    }
    if (sameRaw(piece.raw, other.raw)) continue;
    const left = { raw: piece.raw, types: typesOfA };
    const right = { raw: other.raw, types: typesOfB };
    const difference = compareTwo(piece.family, left, other.family, right);
    if (difference?.tolerated === false) return difference;
    found ??= difference;
  }
  return found;
}

/** Pieces are compared by their family; across families (an alias, a domain) by canonical spelling too. */
function compareTwo(familyA: Family, a: Value, familyB: Family, b: Value): Difference | undefined {
  const sameGroup = familyA.group === familyB.group;
  const difference = sameGroup ? familyA.compare(a, b) : divergent("value");
  if (familyA === familyB || difference?.tolerated !== false) return difference;
  const canonical = familyA.canonical(a);
  return canonical !== undefined && canonical === familyB.canonical(b) ? undefined : difference;
}

function canonicalStructure(structure: Structure, types: TypeNames): string {
  const pieces = structure.pieces.map(({ family, raw }) => {
    if (raw === null) return "~";
    const text = family.canonical({ raw, types }) ?? latin1(raw);
    return `${text.length}:${text}`;
  });
  return `${structure.shape}|${pieces.join("")}`;
}

function sameRaw(a: Raw, b: Raw): boolean {
  return typeof a === "string" || typeof b === "string" ? a === b : a.equals(b);
}
