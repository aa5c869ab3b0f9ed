import { Buffer } from "node:buffer";
import { compareObservations } from "../../src/compare/compare.ts";
import type { CompareContext } from "../../src/compare/context.ts";
import type { Observation } from "../../src/compare/observation.ts";
import type { Verdict } from "../../src/compare/verdict.ts";
import type { Statement } from "../../src/sql/statement.ts";

/** A column of an answer made by hand. */
export type ColumnSpec = {
  readonly name: string;
  readonly oid: number;
  readonly format?: 0 | 1;
  readonly modifier?: number;
  readonly table?: number;
};
export type CellSpec = string | Buffer | null;

export function frame(type: string, body: Buffer): Buffer {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.write(type, 0, "latin1");
  bytes.writeUInt32BE(4 + body.length, 1);
  body.copy(bytes, 5);
  return bytes;
}

export function rowDescription(columns: readonly ColumnSpec[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeUInt16BE(columns.length);
  const fields = columns.map(({ name, oid, format, modifier, table }) => {
    const rest = Buffer.alloc(18);
    rest.writeUInt32BE(table ?? 0, 0);
    rest.writeUInt32BE(oid, 6);
    rest.writeInt16BE(-1, 10);
    rest.writeInt32BE(modifier ?? -1, 12);
    rest.writeInt16BE(format ?? 0, 16);
    return Buffer.concat([Buffer.from(`${name}\0`), rest]);
  });
  return frame("T", Buffer.concat([count, ...fields]));
}

export function dataRow(cells: readonly CellSpec[]): Buffer {
  const count = Buffer.alloc(2);
  count.writeUInt16BE(cells.length);
  const parts = cells.map((cell) => {
    const length = Buffer.alloc(4);
    if (cell === null) {
      length.writeInt32BE(-1);
      return length;
    }
    const bytes = typeof cell === "string" ? Buffer.from(cell) : cell;
    length.writeInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  return frame("D", Buffer.concat([count, ...parts]));
}

export function commandComplete(tag: string): Buffer {
  return frame("C", Buffer.from(`${tag}\0`));
}

export function readyForQuery(status = "I"): Buffer {
  return frame("Z", Buffer.from(status));
}

export function errorResponse(sqlstate: string, message: string): Buffer {
  return frame("E", Buffer.from(`SERROR\0VERROR\0C${sqlstate}\0M${message}\0\0`));
}

/** A whole answer: description, rows, tag, ready. */
export function selectAnswer(
  columns: readonly ColumnSpec[],
  rows: readonly (readonly CellSpec[])[],
): Buffer {
  return Buffer.concat([
    rowDescription(columns),
    ...rows.map(dataRow),
    commandComplete(`SELECT ${rows.length}`),
    readyForQuery(),
  ]);
}

export function answered(frames: Uint8Array): Observation {
  return { kind: "answered", elapsedMs: 1, frames };
}

/** A statement that reads `orders`, without order and without noise, unless said otherwise. */
export function statement(parts: Partial<Omit<Statement, "body">> = {}): Statement {
  return {
    kind: "read",
    looksLike: "read",
    fingerprint: "00112233445566aa",
    normalised: "SELECT * FROM orders",
    tables: ["orders"],
    written: [],
    functions: [],
    effects: [],
    noise: [],
    order: { kind: "any" },
    ...parts,
  };
}

/** ORDER BY these output columns. */
export function orderedBy(
  columns: readonly number[],
  parts: {
    readonly complete?: boolean;
    readonly limited?: boolean;
    readonly names?: readonly string[];
  } = {},
): Statement {
  const { complete = true, limited = false, names = [] } = parts;
  return statement({ order: { kind: "keys", columns, complete, limited, names } });
}

export function context(parts: Partial<CompareContext> = {}): CompareContext {
  return {
    statements: [statement()],
    rules: [],
    primaryTypes: () => undefined,
    shadowTypes: () => undefined,
    ...parts,
  };
}

export function compareFrames(
  primary: Uint8Array,
  shadow: Uint8Array,
  parts: Partial<CompareContext> = {},
): Verdict {
  return compareObservations(answered(primary), answered(shadow), context(parts));
}

/** `match`, `tolerated numeric_scale`, `divergent value`, `incomparable clock`. */
export function inWords(verdict: Verdict): string {
  switch (verdict.kind) {
    case "match":
      return "match";
    case "incomparable":
      return `incomparable ${verdict.reason}`;
    case "tolerated":
    case "divergent":
      return `${verdict.kind} ${verdict.finding.reason}`;
  }
}
