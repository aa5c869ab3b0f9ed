import type { Buffer } from "node:buffer";
import { FLOAT8 } from "./numbers.ts";
import { structuredFamily } from "./structured.ts";
import type { Structure } from "./structured.ts";
import type { Family, Raw } from "./value.ts";

/** point, line, lseg, box, path, polygon, circle and the extension's cube: what stands between the numbers, and the numbers. */
export function geometricFamily(name: string): Family {
  return structuredFamily({
    group: name,
    read: (raw) => (typeof raw === "string" ? readText(raw, name) : readBinary(raw, name)),
    differs: "value",
    piece: "number",
  });
}

function readText(text: string, name: string): Structure | undefined {
  const numbers = text.match(NUMBER) ?? [];
  if (numbers.length === 0) return undefined;
  const isOpen = name === "cube" ? text.includes("),(") : text.startsWith("[(");
  const open = isOpen ? "open" : "closed";
  return {
    shape: `${open}${numbers.length}`,
    pieces: numbers.map((raw) => ({ family: FLOAT8, raw })),
  };
}

const NUMBER = /-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Infinity|NaN)/g;

/**
 * float8 throughout; a path begins with one byte (closed) and int32 points, a polygon with int32
 * points, a cube with int32 dimensions, whose highest bit says that its two corners are one.
 */
function readBinary(raw: Buffer, name: string): Structure | undefined {
  const start = name === "path" ? 5 : name === "polygon" || name === "cube" ? 4 : 0;
  if (raw.length < start + 8 || (raw.length - start) % 8 !== 0) return undefined;
  const pieces: { family: Family; raw: Raw }[] = [];
  for (let at = start; at < raw.length; at += 8) {
    pieces.push({ family: FLOAT8, raw: raw.subarray(at, at + 8) });
  }
  const [first = 0] = raw;
  const isOpen =
    name === "lseg" || (name === "path" && first === 0) || (name === "cube" && first < 0x80);
  const open = isOpen ? "open" : "closed";
  return { shape: `${open}${pieces.length}`, pieces };
}
