import type { QualifiedName } from "./config.ts";

/** @returns the parts of `schema.table`, each in double quotes as it stands or folded to lower case, as in SQL; undefined for anything else. */
export function parseQualifiedName(text: string): QualifiedName | undefined {
  const [, schema, name] = /^("(?:[^"]|"")+"|[^".]+)\.("(?:[^"]|"")+"|[^".]+)$/.exec(text) ?? [];
  if (schema === undefined || name === undefined) return undefined;
  return { schema: unquoted(schema), name: unquoted(name) };
}

/** Writes a name the way `parseQualifiedName` reads it. */
export function formatQualifiedName({ schema, name }: QualifiedName): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

function unquoted(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase();
}

function quoted(part: string): string {
  return /[".!*]/.test(part) || part !== part.toLowerCase()
    ? `"${part.replaceAll('"', '""')}"`
    : part;
}
