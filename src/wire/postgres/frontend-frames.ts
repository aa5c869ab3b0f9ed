/**
 * The parts of frontend frames that the proxy looks at. Every function takes a whole frame, header
 * included, at [start, end), and returns undefined when its body is not well formed.
 */

export type TextRange = { readonly start: number; readonly end: number };

const HEADER_BYTES = 5;

/** Names are short, mostly empty: so many bytes are looked at faster than native code is called. */
const LOOP_BYTES = 16;

/** The end of the zero-terminated string at `at`, or -1. */
function terminator(bytes: Buffer, at: number, end: number): number {
  const near = Math.min(at + LOOP_BYTES, end);
  for (let index = at; index < near; index++) if (bytes[index] === 0) return index;
  const found = bytes.indexOf(0, near);
  return found >= 0 && found < end ? found : -1;
}

/** Query: the text. */
export function queryText(bytes: Buffer, start: number, end: number): TextRange | undefined {
  const at = start + HEADER_BYTES;
  const zero = terminator(bytes, at, end);
  return zero === end - 1 ? { start: at, end: zero } : undefined;
}

/** Parse: statement name and text; parameter types follow. */
export function parseParts(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly name: string; readonly text: TextRange } | undefined {
  const at = start + HEADER_BYTES;
  const nameEnd = terminator(bytes, at, end);
  if (nameEnd < 0) return undefined;
  const textEnd = terminator(bytes, nameEnd + 1, end);
  if (textEnd < 0 || textEnd + 3 > end) return undefined;
  return {
    name: bytes.toString("latin1", at, nameEnd),
    text: { start: nameEnd + 1, end: textEnd },
  };
}

/** Parse: the statement's name alone, from the beginning of a frame. */
export function parseName(bytes: Buffer, start: number, end: number): string | undefined {
  const at = start + HEADER_BYTES;
  const nameEnd = terminator(bytes, at, end);
  return nameEnd < 0 ? undefined : bytes.toString("latin1", at, nameEnd);
}

/** Bind: portal and statement name. Names are kept as Latin-1 so that any bytes survive. */
export function bindParts(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly portal: string; readonly statement: string } | undefined {
  const at = start + HEADER_BYTES;
  const portalEnd = terminator(bytes, at, end);
  if (portalEnd < 0) return undefined;
  const statementEnd = terminator(bytes, portalEnd + 1, end);
  if (statementEnd < 0) return undefined;
  return {
    portal: portalEnd === at ? "" : bytes.toString("latin1", at, portalEnd),
    statement:
      statementEnd === portalEnd + 1 ? "" : bytes.toString("latin1", portalEnd + 1, statementEnd),
  };
}

/** Execute: portal and row limit (0: none). */
export function executeParts(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly portal: string; readonly maxRows: number } | undefined {
  const at = start + HEADER_BYTES;
  const portalEnd = terminator(bytes, at, end);
  if (portalEnd < 0 || portalEnd + 5 !== end) return undefined;
  return {
    portal: portalEnd === at ? "" : bytes.toString("latin1", at, portalEnd),
    maxRows: bytes.readInt32BE(portalEnd + 1),
  };
}

/** Close and Describe: what of which name. */
export function closeParts(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly what: "statement" | "portal"; readonly name: string } | undefined {
  const at = start + HEADER_BYTES;
  const what = bytes[at];
  const nameEnd = terminator(bytes, at + 1, end);
  if (nameEnd < 0 || (what !== 0x53 && what !== 0x50)) return undefined;
  return {
    what: what === 0x53 ? "statement" : "portal",
    name: bytes.toString("latin1", at + 1, nameEnd),
  };
}

/** Describe: the name of the statement; undefined for a portal. */
export function describedStatement(bytes: Buffer, start: number, end: number): string | undefined {
  const parts = closeParts(bytes, start, end);
  return parts?.what === "statement" ? parts.name : undefined;
}

/** Bind: formats and values of the parameters, between the names and the result formats. */
export function bindParameters(bytes: Buffer, start: number, end: number): TextRange | undefined {
  const portalEnd = terminator(bytes, start + HEADER_BYTES, end);
  const statementEnd = portalEnd < 0 ? -1 : terminator(bytes, portalEnd + 1, end);
  if (statementEnd < 0) return undefined;
  let at = statementEnd + 1;
  const fits = (size: number): boolean => at + size <= end;
  if (!fits(2)) return undefined;
  at += 2 + 2 * bytes.readUInt16BE(at);
  if (!fits(2)) return undefined;
  let values = bytes.readUInt16BE(at);
  at += 2;
  for (; values > 0; values--) {
    if (!fits(4)) return undefined;
    at += 4 + Math.max(0, bytes.readInt32BE(at));
  }
  return at <= end ? { start: statementEnd + 1, end: at } : undefined;
}

/** Bind: the result format codes at its end. */
export function bindResultFormats(
  bytes: Buffer,
  start: number,
  end: number,
): readonly number[] | undefined {
  const parameters = bindParameters(bytes, start, end);
  if (parameters === undefined || parameters.end + 2 > end) return undefined;
  const at = parameters.end + 2;
  const count = bytes.readUInt16BE(parameters.end);
  if (at + 2 * count > end) return undefined;
  return Array.from({ length: count }, (_, index) => bytes.readInt16BE(at + 2 * index));
}
