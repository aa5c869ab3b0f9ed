import type { Buffer } from "node:buffer";
import { FLOAT8 } from "./numbers.ts";
import { structuredFamily } from "./structured.ts";
import type { Structure } from "./structured.ts";
import type { Family, Raw } from "./value.ts";

/** point, line, lseg, box, path, polygon, circle: what stands between the numbers, and the numbers. */
export function geometricFamily(name: string): Family {
  return structuredFamily({
    group: name,
    read: (raw) => (typeof raw === "string" ? readText(raw) : readBinary(raw, name)),
    differs: "value",
  });
}

function readText(text: string): Structure | undefined {
  const numbers = text.match(NUMBER) ?? [];
  if (numbers.length === 0) return undefined;
  const open = text.startsWith("[(") ? "open" : "closed";
  return {
    shape: `${open}${numbers.length}`,
    pieces: numbers.map((raw) => ({ family: FLOAT8, raw })),
  };
}

const NUMBER = /-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Infinity|NaN)/g;

/** float8 throughout; a path begins with one byte (closed) and int32 points, a polygon with int32 points. */
function readBinary(raw: Buffer, name: string): Structure | undefined {
  const start = name === "path" ? 5 : name === "polygon" ? 4 : 0;
  if (raw.length < start + 8 || (raw.length - start) % 8 !== 0) return undefined;
  const pieces: { family: Family; raw: Raw }[] = [];
  for (let at = start; at < raw.length; at += 8) {
    pieces.push({ family: FLOAT8, raw: raw.subarray(at, at + 8) });
  }
  const open = name === "lseg" || (name === "path" && raw[0] === 0) ? "open" : "closed";
  return { shape: `${open}${pieces.length}`, pieces };
}
