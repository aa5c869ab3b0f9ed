import { builtinTypeName, FIRST_ASSIGNED_OID } from "./builtin-types.ts";
import type { TypeNames, TypeShape, TypeShapes } from "./context.ts";
import { arrayFamily } from "./values/array.ts";
import { familyOf } from "./values/families.ts";
import { multirangeFamily, rangeFamily } from "./values/range.ts";
import { recordFamily, UNKNOWN } from "./values/record.ts";
import { LABEL } from "./values/texts.ts";
import type { Family, SideTypes } from "./values/value.ts";

/** The types of one side; users' types are read by what they are made of. */
export function openSideTypes(names: TypeNames, shapes: TypeShapes | undefined): SideTypes {
  const families = new Map<number, Family>();
  const name = (oid: number): string | undefined => names(oid) ?? builtinTypeName(oid);
  const resolve = (oid: number): Family => {
    const known = families.get(oid);
    if (known !== undefined) return known;
    // A type that is made of itself there is not; a catalogue that says so must not hang us.
    families.set(oid, UNKNOWN);
    const shape = oid < FIRST_ASSIGNED_OID ? undefined : shapes?.(oid);
    const family = shape === undefined ? familyOf(name(oid)) : familyOfShape(shape, resolve);
    families.set(oid, family);
    return family;
  };
  return { name, family: resolve };
}

function familyOfShape({ kind, parts }: TypeShape, resolve: (oid: number) => Family): Family {
  const [first = 0] = parts;
  switch (kind) {
    case "enum":
      return LABEL;
    case "domain":
      return resolve(first);
    case "array":
      return arrayFamily(resolve(first));
    case "range":
      return rangeFamily(resolve(first));
    case "multirange":
      return multirangeFamily(resolve(first));
    case "composite":
      return recordFamily(parts.map(resolve));
  }
}
