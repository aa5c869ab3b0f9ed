import { createHmac } from "node:crypto";

/** A value that people may see instead of the real one: its class, its length and a keyed hash. */
export type Mask = (value: string) => string;

/**
 * `‹text 12 chars #a1b2c3d4›`. Equal values mask equal; without the key the hash says nothing, so
 * short and guessable values are safe too.
 */
export function openMask(key: Uint8Array): Mask {
  return (value) => {
    const hash = createHmac("sha256", key).update(value).digest("hex").slice(0, 8);
    const chars = value.length === 1 ? "char" : "chars";
    return `‹${classOf(value)} ${value.length} ${chars} #${hash}›`;
  };
}

/** What the text looks like; the real type is in the explanation. The first that fits. */
const CLASSES: readonly (readonly [string, RegExp])[] = [
  ["integer", /^[+-]?\d{1,40}$/],
  ["number", /^[+-]?(\d{1,40}\.\d*|\.\d+|\d+(\.\d*)?e[+-]?\d+|infinity|nan)$/i],
  ["boolean", /^(t|f|true|false)$/],
  ["uuid", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i],
  ["timestamp", /^\d{4,6}-\d\d-\d\d[ T]\d\d:\d\d/],
  ["date", /^\d{4,6}-\d\d-\d\d$/],
  ["time", /^\d\d:\d\d:\d\d/],
  ["bytes", /^\\x([0-9a-f]{2})*$/i],
];

function classOf(value: string): string {
  if (value === "") return "empty text";
  return CLASSES.find(([, pattern]) => pattern.test(value))?.[0] ?? bracketClass(value.trim());
}

function bracketClass(text: string): string {
  const ends = `${text.at(0) ?? ""}${text.at(-1) ?? ""}`;
  if (ends === "[]") return "json";
  if (ends !== "{}") return "text";
  return text.includes('":') || text === "{}" ? "json" : "array";
}
