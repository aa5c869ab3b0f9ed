/**
 * Frontend messages as bytes, written out once for tests that speak the protocol themselves.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

type Part = string | Uint8Array;

/** A frame of a type and the parts of its body; texts are UTF-8 and end where they end. */
export function frame(type: string, ...parts: readonly Part[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)),
  );
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

export const query = (sql: string): Buffer => frame("Q", `${sql}\0`);

/** @param types OIDs of the parameters; 0 leaves one to the server */
export const parse = (name: string, sql: string, types: readonly number[] = []): Buffer =>
  frame("P", `${name}\0${sql}\0`, int16(types.length), ...types.map(int32));

type Formats = { readonly parameters?: readonly number[]; readonly results?: readonly number[] };

export function bind(
  portal: string,
  statement: string,
  values: readonly (Part | null)[] = [],
  { parameters = [], results = [] }: Formats = {},
): Buffer {
  const cells = values.flatMap((value) => {
    if (value === null) return [int32(-1)];
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    return [int32(bytes.length), bytes];
  });
  return frame(
    "B",
    `${portal}\0${statement}\0`,
    int16(parameters.length),
    ...parameters.map(int16),
    int16(values.length),
    ...cells,
    int16(results.length),
    ...results.map(int16),
  );
}

export const describe = (what: "S" | "P", name: string): Buffer => frame("D", `${what}${name}\0`);
export const close = (what: "S" | "P", name: string): Buffer => frame("C", `${what}${name}\0`);

/** @param maxRows 0: all of them */
export const execute = (portal: string, maxRows = 0): Buffer =>
  frame("E", `${portal}\0`, int32(maxRows));

export const copyData = (bytes: Part): Buffer => frame("d", bytes);
export const copyFail = (reason: string): Buffer => frame("f", `${reason}\0`);

/** A call of a function by its OID, everything in binary format. */
export const functionCall = (oid: number, args: readonly Uint8Array[]): Buffer =>
  frame(
    "F",
    int32(oid),
    int16(1),
    int16(1),
    int16(args.length),
    ...args.flatMap((bytes) => [int32(bytes.length), bytes]),
    int16(1),
  );

export const sync: Buffer = frame("S");
export const flush: Buffer = frame("H");
export const copyDone: Buffer = frame("c");
export const terminate: Buffer = frame("X");

/** Parse, Bind, Describe, Execute of the unnamed statement; no Sync. */
export const batch = (sql: string, values: readonly (Part | null)[] = []): Buffer =>
  Buffer.concat([parse("", sql), bind("", "", values), describe("P", ""), execute("")]);

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
