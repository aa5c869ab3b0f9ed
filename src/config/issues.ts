import type { z } from "zod";
import { nearest } from "./nearest.ts";
import { kindOf } from "./problem.ts";
import type { Path, Problem } from "./problem.ts";

/** The part of a JSON Schema that leads from a path to the keys allowed there. */
type SchemaNode = {
  readonly properties?: Readonly<Record<string, SchemaNode>> | undefined;
  readonly items?: SchemaNode | undefined;
};

/** Turns what zod found in `input` into sentences; `schema` is the JSON Schema of the same zod schema. */
export function problemsOf(error: z.ZodError, schema: object, input: unknown): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const path = issue.path.map((step) => (typeof step === "number" ? step : String(step)));
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => unknownKey(path, key, keysAt(schema, path)));
    }
    return [{ path, at: "value", message: sentence(issue, valueAt(input, path)) }];
  });
}

/** What `path` leads to in `root`, or undefined. */
export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step))
      return undefined;
    return (value as Record<string | number, unknown>)[step];
  }, root);
}

function unknownKey(path: Path, key: string, known: readonly string[]): Problem {
  const meant = nearest(key, known);
  const shown = key.length > 40 ? `${key.slice(0, 40)}…` : key;
  const hint =
    meant === undefined ? `the keys here are ${known.join(", ")}` : `did you mean ${meant}?`;
  return { path: [...path, key], at: "key", message: `unknown key ${shown}: ${hint}` };
}

function keysAt(schema: SchemaNode, path: Path): readonly string[] {
  const node = path.reduce<SchemaNode | undefined>(
    (at, step) => (typeof step === "number" ? at?.items : at?.properties?.[step]),
    schema,
  );
  return Object.keys(node?.properties ?? {});
}

function sentence(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "custom") return issue.message;
  if (value === undefined) return "is missing";
  if (issue.code === "too_small" && issue.origin === "array") return "must not be empty";
  if (issue.code === "invalid_type") {
    if (issue.expected === "array") return `expected a list, found ${kindOf(value)}`;
    if (issue.expected === "object") return `expected a mapping, found ${kindOf(value)}`;
  }
  return issue.message;
}
