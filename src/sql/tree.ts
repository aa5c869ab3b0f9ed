import type { Node } from "libpg-query";

type NameIn<One> = One extends unknown ? keyof One : never;
type NodeName = NameIn<Node>;
type ContentIn<One, Name extends PropertyKey> = One extends { [key in Name]: infer Content }
  ? Content
  : never;

/** The node's content when it is of this type. The parser writes each node as `{ Type: content }`. */
export function nodeAs<Name extends NodeName>(
  node: Node | undefined,
  name: Name,
): ContentIn<Node, Name> | undefined {
  if (node === undefined || !(name in node)) return undefined;
  const content: unknown = Reflect.get(node, name);
  return content as ContentIn<Node, Name>;
}

/** The node's type and content, for what does not care which it is. */
export function nodeEntry(node: Node): readonly [name: string, content: unknown] {
  return Object.entries(node)[0] ?? ["", undefined];
}

/** The texts of a list of String nodes: the parts of a qualified name. */
export function nameParts(nodes: readonly Node[] | undefined): readonly string[] {
  const parts: string[] = [];
  for (const node of nodes ?? []) {
    const text = nodeAs(node, "String")?.sval;
    if (text !== undefined) parts.push(text);
  }
  return parts;
}

/** A constant's string, also behind a cast: `'a'`, `'a'::text`. */
export function stringConstant(node: Node | undefined): string | undefined {
  const cast = nodeAs(node, "TypeCast");
  if (cast !== undefined) return stringConstant(cast.arg);
  const text = nodeAs(node, "A_Const")?.sval;
  return text === undefined ? undefined : (text.sval ?? "");
}

/** A constant's integer; the parser leaves out a zero. */
export function integerConstant(node: Node | undefined): number | undefined {
  const constant = nodeAs(node, "A_Const");
  return constant?.ival === undefined ? undefined : (constant.ival.ival ?? 0);
}

/** A constant's truth value; the parser leaves out a false. */
export function booleanConstant(node: Node | undefined): boolean | undefined {
  const cast = nodeAs(node, "TypeCast");
  if (cast !== undefined) return booleanConstant(cast.arg);
  const constant = nodeAs(node, "A_Const");
  return constant?.boolval === undefined ? undefined : (constant.boolval.boolval ?? false);
}

/** `NULL` and `LIMIT ALL` are the same node. */
export function isNullConstant(node: Node | undefined): boolean {
  return nodeAs(node, "A_Const")?.isnull === true;
}

/** Two subtrees are the same but for where they stand in the text. */
export function sameTree(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null)
    return one === other;
  const keys = Object.keys(one).filter(isMeaning);
  if (keys.length !== Object.keys(other).filter(isMeaning).length) return false;
  return keys.every((key) => sameTree(Reflect.get(one, key), Reflect.get(other, key)));
}

function isMeaning(key: string): boolean {
  return key !== "location";
}
