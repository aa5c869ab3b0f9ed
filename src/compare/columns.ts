import type { ReplyField } from "../wire/postgres/reply-frames.ts";
import { FIRST_ASSIGNED_OID, builtinTypeName } from "./builtin-types.ts";
import type { TypeNames } from "./context.ts";
import { familyOf } from "./values/families.ts";
import type { Family } from "./values/value.ts";

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
  /** Names of the side's types. */
  readonly types: TypeNames;
};

/** Resolves the types of one side's RowDescription. */
export function columnsOf(
  fields: readonly ReplyField[],
  formatsKnown: boolean,
  types: TypeNames,
): Column[] {
  const named = withBuiltins(types);
  return fields.map(({ name, tableOid, attribute, typeOid, typeModifier, format }) => {
    const typeName = named(typeOid);
    return {
      name,
      typeName,
      tableOid,
      attribute,
      typeOid,
      typeModifier,
      family: familyOf(typeName),
      format: formatsKnown ? (format === 1 ? "binary" : "text") : undefined,
      types: named,
    };
  });
}

/** Columns of rows that nobody described. */
export function namelessColumns(count: number, types: TypeNames): Column[] {
  const column: Column = {
    name: undefined,
    typeName: undefined,
    tableOid: 0,
    attribute: 0,
    typeOid: 0,
    typeModifier: -1,
    family: familyOf(undefined),
    format: undefined,
    types: withBuiltins(types),
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

function withBuiltins(types: TypeNames): TypeNames {
  return (oid) => types(oid) ?? builtinTypeName(oid);
}
