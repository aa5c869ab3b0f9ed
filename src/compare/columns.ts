import type { ReplyField } from "../wire/postgres/reply-frames.ts";
import { FIRST_ASSIGNED_OID, builtinTypeName } from "./builtin-types.ts";
import type { TypeNames } from "./context.ts";
import type { Family, SideTypes } from "./values/value.ts";

/** One output column of one side. */
export type Column = {
  /** Undefined when the answer did not describe its rows. */
  readonly name: string | undefined;
  readonly typeName: string | undefined;
  /** 0 for an expression. */
  readonly tableOid: number;
  readonly attribute: number;
  readonly typeOid: number;
  readonly typeModifier: number;
  readonly family: Family;
  /** Undefined when it has to be guessed from the value. */
  readonly format: "text" | "binary" | undefined;
  readonly types: SideTypes;
};

/** Resolves the types of one side's RowDescription. */
export function columnsOf(
  fields: readonly ReplyField[],
  formatsKnown: boolean,
  types: SideTypes,
): Column[] {
  return fields.map(({ name, tableOid, attribute, typeOid, typeModifier, format }) => {
    return {
      name,
      typeName: types.name(typeOid),
      tableOid,
      attribute,
      typeOid,
      typeModifier,
      family: types.family(typeOid),
      format: formatsKnown ? (format === 1 ? "binary" : "text") : undefined,
      types,
    };
  });
}

/** Columns of rows that nobody described. */
export function namelessColumns(count: number, types: SideTypes): Column[] {
  const column: Column = {
    name: undefined,
    typeName: undefined,
    tableOid: 0,
    attribute: 0,
    typeOid: 0,
    typeModifier: -1,
    family: types.family(0),
    format: undefined,
    types,
  };
  return Array.from({ length: count }, () => column);
}

/**
 * Whether two oids mean one type. Oids of user-defined types differ between databases, so names
 * decide; `unsure` when a name is missing.
 */
export function sameType(
  primaryOid: number,
  shadowOid: number,
  primaryTypes: TypeNames,
  shadowTypes: TypeNames,
): "same" | "other" | "unsure" {
  if (primaryOid === shadowOid && primaryOid < FIRST_ASSIGNED_OID) return "same";
  const primary = primaryTypes(primaryOid) ?? builtinTypeName(primaryOid);
  const shadow = shadowTypes(shadowOid) ?? builtinTypeName(shadowOid);
  if (primary === undefined || shadow === undefined) return "unsure";
  return primary === shadow ? "same" : "other";
}
