import type { Buffer } from "node:buffer";
import { structuredFamily } from "./structured.ts";
import type { Piece, Structure } from "./structured.ts";
import type { Family, Raw, SideTypes } from "./value.ts";

/** An array: dimensions with their lower bounds, then the elements. */
export function arrayFamily(element: Family): Family {
  const delimiter = element.group === "box" ? ";" : ",";
  return structuredFamily({
    group: `array of ${element.group}`,
    read: (raw, types) =>
      typeof raw === "string" ? readText(raw, element, delimiter) : readBinary(raw, types, element),
    differs: "array_value",
    piece: "element",
  });
}

/** int2vector and oidvector: an array from 0 on, written as `1 2 3`. */
export function vectorFamily(element: Family): Family {
  return structuredFamily({
    group: `vector of ${element.group}`,
    read: (raw, types) => {
      if (typeof raw !== "string") return readBinary(raw, types, element);
      if (raw === "") return { shape: "empty", pieces: [] };
      const pieces = raw.split(" ").map((item): Piece => ({ family: element, raw: item }));
      return { shape: `0+${pieces.length}`, pieces };
    },
    differs: "array_value",
    piece: "element",
  });
}

/** @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function readText(text: string, element: Family, delimiter: string): Structure | undefined {
  const bounds = /^((?:\[-?\d+:-?\d+\])+)=/.exec(text);
  const body = bounds === null ? text : text.slice(bounds[0].length);
  const walk = { text: body, at: 0, pieces: [] as Piece[], lengths: [] as number[] };
  if (!readLevel(walk, element, delimiter, 0) || walk.at !== body.length) return undefined;
  if (walk.pieces.length === 0) return { shape: "empty", pieces: [] };
  const lowers = [...(bounds?.[1] ?? "").matchAll(/\[(-?\d+):/g)].map((match) => Number(match[1]));
  const shape = walk.lengths.map((length, index) => `${lowers[index] ?? 1}+${length}`);
  return { shape: shape.join(","), pieces: walk.pieces };
}

type Walk = {
  readonly text: string;
  at: number;
  readonly pieces: Piece[];
  readonly lengths: number[];
};

/** PostgreSQL knows six dimensions. */
const MAX_DIMENSIONS = 6;

function readLevel(walk: Walk, element: Family, delimiter: string, depth: number): boolean {
  if (walk.text[walk.at] !== "{" || depth >= MAX_DIMENSIONS) return false;
  walk.at++;
  let length = 0;
  while (walk.text[walk.at] !== "}") {
    if (walk.at >= walk.text.length) return false;
    if (length > 0) {
      if (walk.text[walk.at] !== delimiter) return false;
      walk.at++;
    }
    if (walk.text[walk.at] === "{") {
      if (!readLevel(walk, element, delimiter, depth + 1)) return false;
    } else {
      walk.pieces.push({ family: element, raw: readElement(walk, delimiter) });
    }
    length++;
  }
  walk.at++;
  walk.lengths[depth] = length;
  return true;
}

function readElement(walk: Walk, delimiter: string): string | null {
  const { text } = walk;
  if (text[walk.at] === '"') {
    let end = walk.at + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === "\\" ? 2 : 1;
    const quoted = text.slice(walk.at + 1, end);
    walk.at = end + 1;
    return quoted.includes("\\") ? quoted.replace(/\\(.)/gs, "$1") : quoted;
  }
  let end = walk.at;
  while (end < text.length && text[end] !== delimiter && text[end] !== "}") end++;
  const plain = text.slice(walk.at, end);
  walk.at = end;
  return plain.toUpperCase() === "NULL" ? null : plain;
}

/** int32 dimensions, int32 has-null, int32 element oid, per dimension int32 length and lower bound, then cells. */
function readBinary(raw: Buffer, types: SideTypes, element: Family): Structure | undefined {
  if (raw.length < 12) return undefined;
  const dimensions = raw.readInt32BE(0);
  if (dimensions === 0) return { shape: "empty", pieces: [] };
  if (dimensions < 0 || dimensions > MAX_DIMENSIONS || raw.length < 12 + dimensions * 8) {
    return undefined;
  }
  const told = types.family(raw.readUInt32BE(8));
  const family = told.isUnknown === true ? element : told;
  const shape: string[] = [];
  for (let index = 0; index < dimensions; index++) {
    const at = 12 + index * 8;
    shape.push(`${raw.readInt32BE(at + 4)}+${raw.readInt32BE(at)}`);
  }
  const pieces = readBinaryCells(raw, 12 + dimensions * 8, () => family);
  // An oidvector without elements has a dimension all the same.
  if (pieces?.length === 0) return { shape: "empty", pieces };
  return pieces && { shape: shape.join(","), pieces };
}

/** Cells to the end of the bytes: int32 length (-1 is NULL), then the value. */
export function readBinaryCells(
  raw: Buffer,
  start: number,
  familyAt: () => Family,
): Piece[] | undefined {
  const pieces: Piece[] = [];
  let at = start;
  while (at < raw.length) {
    if (at + 4 > raw.length) return undefined;
    const length = raw.readInt32BE(at);
    at += 4;
    if (length > raw.length - at) return undefined;
    const cell: Raw | null = length < 0 ? null : raw.subarray(at, at + length);
    pieces.push({ family: familyAt(), raw: cell });
    at += Math.max(length, 0);
  }
  return pieces;
}
