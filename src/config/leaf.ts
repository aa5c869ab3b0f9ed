import { z } from "zod";
import { nearest } from "./nearest.ts";
import { kindOf } from "./problem.ts";
import { formatBytes, formatDuration, parseBytes, parseDurationMs } from "./quantity.ts";

export type Parsed<T> =
  | { readonly kind: "ok"; readonly value: T }
  | { readonly kind: "wrong"; readonly message: string };

export type Range = { readonly min: number; readonly max: number };

export function ok<T>(value: T): Parsed<T> {
  return { kind: "ok", value };
}

export function wrong(message: string): { readonly kind: "wrong"; readonly message: string } {
  return { kind: "wrong", message };
}

/** A value read by `parse`. `shape` is what the JSON Schema says of it before substitution. */
export function leaf<T>(shape: object, parse: (value: unknown) => Parsed<T>): z.ZodType<T> {
  return z
    .unknown()
    .meta({ ...shape })
    .transform((value, context) => {
      const parsed: Parsed<T> = value === undefined ? wrong("is missing") : parse(value);
      if (parsed.kind === "ok") return parsed.value;
      context.issues.push({ code: "custom", message: parsed.message, input: value });
      return z.NEVER;
    });
}

/** A text that is read further by `parse`. */
export function textLeaf<T>(shape: object, parse: (text: string) => Parsed<T>): z.ZodType<T> {
  return leaf({ type: "string", ...shape }, (value) => {
    if (typeof value === "string") return value === "" ? wrong("is empty") : parse(value);
    const hint =
      typeof value === "number" || typeof value === "boolean" ? ": put it in quotes" : "";
    return wrong(`expected text, found ${kindOf(value)}${hint}`);
  });
}

export function text(): z.ZodType<string> {
  return textLeaf({ minLength: 1 }, ok);
}

/** A text that `pattern` describes; `expected` says in words what that is. */
export function patternText(pattern: RegExp, expected: string): z.ZodType<string> {
  return textLeaf({ anyOf: [{ pattern: pattern.source }, SUBSTITUTED] }, (value) =>
    pattern.test(value) ? ok(value) : wrong(`expected ${expected}`),
  );
}

/** Milliseconds of a duration with its unit. */
export function duration(range: Range): z.ZodType<number> {
  const shape = { anyOf: [{ pattern: String.raw`^\d+(\.\d+)?(ms|s|m|h|d)$` }, SUBSTITUTED] };
  const between = `between ${formatDuration(range.min)} and ${formatDuration(range.max)}`;
  return quantity(shape, (value) => {
    const ms = parseDurationMs(value);
    if (ms === undefined) return wrong("expected a duration with its unit, such as 200ms or 5s");
    return within(ms, range) ? ok(ms) : wrong(`must be ${between}`);
  });
}

/** Bytes of a size with its unit. */
export function size(range: Range): z.ZodType<number> {
  const shape = { anyOf: [{ pattern: String.raw`^\d+(\.\d+)?([kMG]|[KMG]i)?B$` }, SUBSTITUTED] };
  const between = `between ${formatBytes(range.min)} and ${formatBytes(range.max)}`;
  return quantity(shape, (value) => {
    const bytes = parseBytes(value);
    if (bytes === undefined) return wrong("expected a size with its unit, such as 64KiB or 8MiB");
    return within(bytes, range) ? ok(bytes) : wrong(`must be ${between}`);
  });
}

export function wholeNumber(range: Range): z.ZodType<number> {
  const shape = { type: "integer", minimum: range.min, maximum: range.max };
  return leaf({ anyOf: [shape, SUBSTITUTED] }, (value) => {
    const number = numberOf(value);
    return number !== undefined && Number.isInteger(number) && within(number, range)
      ? ok(number)
      : wrong(`expected a whole number from ${range.min} to ${range.max}`);
  });
}

/** Any number not below zero, or up to `max` where one is given. */
export function amount(expected: string, max?: number): z.ZodType<number> {
  const shape = { type: "number", minimum: 0, ...(max === undefined ? {} : { maximum: max }) };
  return leaf({ anyOf: [shape, SUBSTITUTED] }, (value) => {
    const number = numberOf(value);
    return number !== undefined && number >= 0 && number <= (max ?? Number.MAX_VALUE)
      ? ok(number)
      : wrong(`expected ${expected}`);
  });
}

export function flag(): z.ZodType<boolean> {
  return leaf({ anyOf: [{ type: "boolean" }, SUBSTITUTED] }, (value) => {
    if (typeof value === "boolean") return ok(value);
    // A substituted value is always text.
    if (value === "true" || value === "false") return ok(value === "true");
    return wrong(`expected true or false, found ${kindOf(value)}`);
  });
}

export function oneOf<const Word extends string>(words: readonly Word[]): z.ZodType<Word> {
  return leaf({ anyOf: [{ enum: [...words] }, SUBSTITUTED] }, (value) => {
    const word = words.find((candidate) => candidate === value);
    return word === undefined ? wrong(expectedOneOf(value, words)) : ok(word);
  });
}

/** "expected skip or apply", naming the one that was probably meant. */
export function expectedOneOf(value: unknown, words: readonly string[]): string {
  const list =
    words.length === 1 ? words[0] : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  const meant = typeof value === "string" && words.length > 1 ? nearest(value, words) : undefined;
  return meant === undefined ? `expected ${list}` : `expected ${list}: did you mean ${meant}?`;
}

/** What stands in the file before `${NAME}` or `${file:…}` was replaced; editors must accept it. */
const SUBSTITUTED: object = { type: "string", pattern: String.raw`\$\{[^}]+\}` };

function quantity(shape: object, parse: (text: string) => Parsed<number>): z.ZodType<number> {
  return leaf({ type: "string", ...shape }, (value) =>
    // A bare number gets the sentence about units, not one about types.
    typeof value === "string" || typeof value === "number"
      ? parse(String(value))
      : wrong(`expected text with a unit, found ${kindOf(value)}`),
  );
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === "string" && /^-?\d+(\.\d+)?(e-?\d+)?$/i.test(value)) return Number(value);
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

function within(value: number, { min, max }: Range): boolean {
  return value >= min && value <= max;
}
