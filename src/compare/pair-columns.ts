import { decodeDataRow, decodeRowDescription } from "../wire/postgres/reply-frames.ts";
import type { ColumnPair } from "./cells.ts";
import { columnsOf, namelessColumns, sameType } from "./columns.ts";
import type { Column } from "./columns.ts";
import type { CompareContext } from "./context.ts";
import { newFinding } from "./explanation.ts";
import type { StatementPolicy } from "./policy.ts";
import type { Result } from "./reply.ts";
import { openSideTypes } from "./side-types.ts";
import type { Finding, IncomparableReason } from "./verdict.ts";

/** The columns of two results that belong together, or what keeps them apart. */
export type PairedColumns =
  | {
      readonly kind: "paired";
      readonly pairs: readonly ColumnPair[];
      /** A column that only one side has was left out by a rule. */
      readonly dropped: boolean;
      /** Types that differ although their values can be compared. */
      readonly alias: Finding | undefined;
    }
  | { readonly kind: "apart"; readonly finding: Finding };

/** Pairs the columns of two results by position, and compares their names and types. */
export function pairColumns(
  results: readonly [primary: Result, shadow: Result],
  index: number,
  context: CompareContext,
  policy: StatementPolicy,
): PairedColumns {
  const [primary, shadow] = results;
  if (primary.opaque || shadow.opaque) {
    return { kind: "paired", pairs: [], dropped: false, alias: undefined };
  }
  let ours = indexed(sideColumns(primary, index, "primary", context));
  let theirs = indexed(sideColumns(shadow, index, "shadow", context));
  const uneven = ours.length !== theirs.length;
  if (uneven) {
    ours = ours.filter(({ column }) => !policy.column(column).ignored);
    theirs = theirs.filter(({ column }) => !policy.column(column).ignored);
  }
  if (ours.length !== theirs.length) {
    const detail = `${ours.length} on the primary, ${theirs.length} on the shadow`;
    return { kind: "apart", finding: newFinding("column_count", { statement: index, detail }) };
  }
  return pairByPosition(ours, theirs, { index, context, policy, dropped: uneven });
}

type Indexed = { readonly at: number; readonly column: Column };

type Pairing = {
  readonly index: number;
  readonly context: CompareContext;
  readonly policy: StatementPolicy;
  readonly dropped: boolean;
};

function pairByPosition(
  ours: readonly Indexed[],
  theirs: readonly Indexed[],
  { index, context, policy, dropped }: Pairing,
): PairedColumns {
  const pairs: ColumnPair[] = [];
  let alias: Finding | undefined;
  for (const [position, { at, column: primary }] of ours.entries()) {
    const other = theirs[position];
    if (other === undefined) break;
    const shadow = other.column;
    const columnPolicy = policy.column(primary);
    const types = columnPolicy.ignored ? "same" : typeRelation(primary, shadow, context);
    const finding = columnPolicy.ignored ? undefined : namesDiffer(primary, shadow, index, at);
    if (finding !== undefined) return { kind: "apart", finding };
    if (types === "other") return { kind: "apart", finding: typeFinding(primary, shadow, index) };
    if (types !== "same") alias ??= aliasFinding(primary, shadow, index);
    pairs.push({
      primaryIndex: at,
      shadowIndex: other.at,
      primary,
      shadow,
      policy: columnPolicy,
      aliased: types === "alias",
      generated: context.generated?.(shadow.tableOid, shadow.attribute) ?? false,
      excuse: columnPolicy.ignored ? "rule" : unreadable(primary, shadow),
    });
  }
  return { kind: "paired", pairs, dropped, alias };
}

/** Why two columns cannot be compared although they have one type; undefined when they can. */
function unreadable(primary: Column, shadow: Column): IncomparableReason | undefined {
  const isText = primary.format === "text" && shadow.format === "text";
  // regclass and its kin are names in text, in binary the numbers that a server gave them.
  if (primary.family.group === "object name" && !isText) return "server";
  const isMixed = primary.format !== shadow.format;
  const isUnknown = primary.family.isUnknown === true && shadow.family.isUnknown === true;
  const isDescribed = primary.name !== undefined && shadow.name !== undefined;
  return isMixed && isUnknown && isDescribed ? "unknown_type" : undefined;
}

/** `alias`: another name for comparable values. `modifier`: the same type with another length or scale. */
function typeRelation(
  primary: Column,
  shadow: Column,
  { primaryTypes, shadowTypes }: CompareContext,
): "same" | "modifier" | "alias" | "other" {
  if (primary.name === undefined || shadow.name === undefined) return "same";
  const types = sameType(primary.typeOid, shadow.typeOid, primaryTypes, shadowTypes);
  if (types === "other") {
    return primary.family.group === shadow.family.group && primary.family.group !== "label"
      ? "alias"
      : "other";
  }
  return primary.typeModifier === shadow.typeModifier ? "same" : "modifier";
}

function namesDiffer(
  primary: Column,
  shadow: Column,
  statement: number,
  at: number,
): Finding | undefined {
  if (primary.name === shadow.name) return undefined;
  if (primary.name === undefined || shadow.name === undefined) return undefined;
  const detail = `column ${at + 1} is "${primary.name}" on the primary, "${shadow.name}" on the shadow`;
  const finding = newFinding(
    "column_name",
    { statement, detail },
    { primary: primary.name, shadow: shadow.name },
  );
  return { ...finding, column: primary.name };
}

function typeFinding(primary: Column, shadow: Column, statement: number): Finding {
  const names = { primaryType: typeLabel(primary), shadowType: typeLabel(shadow) };
  return newFinding(
    "column_type",
    { statement, column: primary.name, ...names },
    { primary: names.primaryType, shadow: names.shadowType },
  );
}

function aliasFinding(primary: Column, shadow: Column, statement: number): Finding {
  const names = { primaryType: typeLabel(primary), shadowType: typeLabel(shadow) };
  return newFinding("column_type_alias", { statement, column: primary.name, ...names });
}

/** `varchar(20)`, `numeric(10,2)`; a modifier counts four bytes of header with it. */
function typeLabel({ typeName, typeOid, typeModifier }: Column): string {
  const name = typeName ?? `type ${typeOid}`;
  if (typeModifier < 0) return name;
  const size = typeModifier - 4;
  if (name === "numeric") return `numeric(${size >> 16},${size & 0xffff})`;
  if (name === "varchar" || name === "bpchar") return `${name}(${size})`;
  return `${name}(${typeModifier})`;
}

function indexed(columns: readonly Column[]): Indexed[] {
  return columns.map((column, at) => ({ at, column }));
}

function sideColumns(
  result: Result,
  index: number,
  side: "primary" | "shadow",
  context: CompareContext,
): Column[] {
  const types =
    side === "primary"
      ? openSideTypes(context.primaryTypes, context.primaryShapes)
      : openSideTypes(context.shadowTypes, context.shadowShapes);
  const remembered = context.remembered?.(index);
  const body = remembered?.[side];
  const fields = result.fields ?? (body && decodeRowDescription(body));
  if (fields === undefined) {
    const [row] = result.rows;
    return namelessColumns(row === undefined ? 0 : decodeDataRow(row).length, types);
  }
  const formatsKnown = result.fields !== undefined && result.formatsKnown;
  const columns = columnsOf(fields, formatsKnown, types);
  const formats = remembered?.formats;
  return formats === undefined || formatsKnown ? columns : withFormats(columns, formats);
}

/** Result format codes of a Bind: none means text, one is for all columns. */
function withFormats(columns: readonly Column[], formats: readonly number[]): Column[] {
  return columns.map((column, index) => {
    const code = formats.length === 1 ? formats[0] : formats[index];
    return { ...column, format: code === 1 ? "binary" : "text" };
  });
}
