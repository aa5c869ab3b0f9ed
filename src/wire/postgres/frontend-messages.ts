/** Builders of the few frontend messages that Twinwire itself sends. */

/** A simple Query. */
export function queryMessage(sql: string): Buffer {
  const size = Buffer.byteLength(sql);
  const frame = Buffer.allocUnsafe(6 + size);
  frame[0] = 0x51;
  frame.writeUInt32BE(5 + size, 1);
  frame.write(sql, 5);
  frame[5 + size] = 0;
  return frame;
}

export const SYNC_MESSAGE: Buffer = Buffer.from([0x53, 0, 0, 0, 4]);
export const TERMINATE_MESSAGE: Buffer = Buffer.from([0x58, 0, 0, 0, 4]);

/** Close of a prepared statement; the name as Latin-1. */
export function closeStatementMessage(name: string): Buffer {
  return ofStatement(0x43, name);
}

/** Describe of a prepared statement; the name as Latin-1. */
export function describeStatementMessage(name: string): Buffer {
  return ofStatement(0x44, name);
}

function ofStatement(type: number, name: string): Buffer {
  const frame = Buffer.allocUnsafe(7 + name.length);
  frame[0] = type;
  frame.writeUInt32BE(6 + name.length, 1);
  frame[5] = 0x53;
  frame.write(name, 6, "latin1");
  frame[6 + name.length] = 0;
  return frame;
}

/**
 * A statement of ours as an exchange of the extended protocol under a name of its own, answered with one
 * ReadyForQuery: a simple Query would take the client's unnamed statement away.
 */
export function ownStatementMessage(sql: string): Buffer {
  const name = "twinwire:own";
  return Buffer.concat([
    // What the last one left: a portal until its transaction ends, and all of it when it failed.
    frontendFrame("C", `P${name}\0`, Buffer.alloc(0)),
    closeStatementMessage(name),
    frontendFrame("P", `${name}\0${sql}\0`, Buffer.from([0, 0])),
    frontendFrame("B", `${name}\0${name}\0`, Buffer.from([0, 0, 0, 0, 0, 0])),
    frontendFrame("E", `${name}\0`, Buffer.from([0, 0, 0, 0])),
    closeStatementMessage(name),
    SYNC_MESSAGE,
  ]);
}

/** Parse; types of parameters are left to the server. */
export function parseMessage(name: string, sql: string): Buffer {
  return frontendFrame("P", `${name}\0${sql}\0`, Buffer.from([0, 0]));
}

/** Execute of the unnamed portal, for all rows. */
export const EXECUTE_MESSAGE: Buffer = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
export const COPY_DONE_MESSAGE: Buffer = Buffer.from([0x63, 0, 0, 0, 4]);

export function copyFailMessage(reason: string): Buffer {
  return frontendFrame("f", `${reason.replaceAll("\0", "")}\0`, Buffer.alloc(0));
}

/** CopyData around a payload. */
export function copyDataMessage(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + payload.length);
  frame[0] = 0x64;
  frame.writeUInt32BE(4 + payload.length, 1);
  frame.set(payload, 5);
  return frame;
}

/**
 * Bind of a statement to the unnamed portal: values and results in text format, strings as UTF-8, null is NULL.
 * At most 65,535 values.
 */
export function bindMessage(
  statement: string,
  values: readonly (string | Uint8Array | null)[],
): Buffer {
  let size = 1 + 4 + 1 + Buffer.byteLength(statement) + 1 + 2 + 2 + 2;
  for (const value of values) size += 4 + byteLengthOf(value);
  const frame = Buffer.allocUnsafe(size);
  frame[0] = 0x42;
  frame.writeUInt32BE(size - 1, 1);
  frame[5] = 0;
  let at = 6 + frame.write(statement, 6);
  frame[at] = 0;
  frame.writeUInt16BE(0, at + 1);
  at = frame.writeUInt16BE(values.length, at + 3);
  for (const value of values) at = writeValue(frame, at, value);
  frame.writeUInt16BE(0, at);
  return frame;
}

function byteLengthOf(value: string | Uint8Array | null): number {
  if (value === null) return 0;
  return typeof value === "string" ? Buffer.byteLength(value) : value.length;
}

function writeValue(frame: Buffer, at: number, value: string | Uint8Array | null): number {
  if (value === null) return frame.writeInt32BE(-1, at);
  const start = at + 4;
  if (typeof value !== "string") frame.set(value, start);
  const length = typeof value === "string" ? frame.write(value, start) : value.length;
  frame.writeInt32BE(length, at);
  return start + length;
}

function frontendFrame(type: string, text: string, rest: Buffer): Buffer {
  const frame = Buffer.concat([Buffer.from(`${type}0000${text}`, "utf8"), rest]);
  frame.writeInt32BE(frame.length - 1, 1);
  return frame;
}
