import { DIFFERENCE_REASONS } from "../verdict.ts";
import type { DifferenceReason } from "../verdict.ts";
import { divergent, latin1, tolerated } from "./value.ts";
import type { Difference, Family, Raw, SideTypes, Value } from "./value.ts";

/** A value made of values: what holds it together, and the pieces in order. */
export type Structure = { readonly shape: string; readonly pieces: readonly Piece[] };
export type Piece = { readonly family: Family; readonly raw: Raw | null };

/** A family whose values are compared piece by piece: arrays, ranges, records, shapes. */
export function structuredFamily(options: {
  readonly group: string;
  readonly read: (raw: Raw, types: SideTypes) => Structure | undefined;
  /** When the shapes or a piece differ. */
  readonly differs: DifferenceReason;
  /** What a piece is called: element, field, bound. */
  readonly piece: string;
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
      const found = comparePieces(a, b, primary.types, shadow.types);
      if (found?.difference.tolerated === false) return divergent(differs);
      const bothText = typeof primary.raw === "string" && typeof shadow.raw === "string";
      return found?.difference ?? (bothText ? tolerated("value_format") : undefined);
    },
    hint: (primary, shadow) => {
      const a = read(primary.raw, primary.types);
      const b = read(shadow.raw, shadow.types);
      if (a === undefined || b === undefined) return "it was not understood";
      if (a.pieces.length !== b.pieces.length) {
        return `${a.pieces.length} ${options.piece}s on the primary, ${b.pieces.length} on the shadow`;
      }
      if (a.shape !== b.shape) return undefined;
      const found = comparePieces(a, b, primary.types, shadow.types);
      if (found?.difference.tolerated !== false) return undefined;
      return `${options.piece} ${found.position + 1}: ${DIFFERENCE_REASONS[found.difference.reason]}`;
    },
  };
}

type PieceDifference = { readonly position: number; readonly difference: Difference };

function comparePieces(
  a: Structure,
  b: Structure,
  typesOfA: SideTypes,
  typesOfB: SideTypes,
): PieceDifference | undefined {
  let found: PieceDifference | undefined;
  for (const [index, piece] of a.pieces.entries()) {
    const other = b.pieces[index];
    if (other === undefined || piece.raw === null || other.raw === null) {
      if (piece.raw !== other?.raw) {
        return { position: index, difference: divergent("null_value") };
      }
      continue;
    }
    if (sameRaw(piece.raw, other.raw)) continue;
    const left = { raw: piece.raw, types: typesOfA };
    const right = { raw: other.raw, types: typesOfB };
    const difference = compareTwo(piece.family, left, other.family, right);
    if (difference?.tolerated === false) return { position: index, difference };
    if (difference !== undefined) found ??= { position: index, difference };
  }
  return found;
}

/**
 * Pieces are compared by their family; across families (an alias) by canonical spelling too. A record
 * in text does not say of what types it is made: the other side's may.
 */
function compareTwo(familyA: Family, a: Value, familyB: Family, b: Value): Difference | undefined {
  if (familyA.isUnknown === true) return familyB.compare(a, b);
  if (familyB.isUnknown === true) return familyA.compare(a, b);
  const sameGroup = familyA.group === familyB.group;
  const difference = sameGroup ? familyA.compare(a, b) : divergent("value");
  if (familyA === familyB || difference?.tolerated !== false) return difference;
  const canonical = familyA.canonical(a);
  return canonical !== undefined && canonical === familyB.canonical(b) ? undefined : difference;
}

function canonicalStructure(structure: Structure, types: SideTypes): string {
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
