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

function frontendFrame(type: string, text: string, rest: Buffer): Buffer {
  const frame = Buffer.concat([Buffer.from(`${type}0000${text}`, "utf8"), rest]);
  frame.writeInt32BE(frame.length - 1, 1);
  return frame;
}
