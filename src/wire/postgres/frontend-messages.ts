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
