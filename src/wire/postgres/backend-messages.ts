/**
 * Backend messages that Twinwire itself sends, whole frames.
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */

/** BackendKeyData: what the client shows to cancel. The key is 4 bytes, or up to 256 since protocol 3.2. */
export function backendKeyData(processId: number, secretKey: Uint8Array): Buffer {
  const id = Buffer.alloc(4);
  id.writeInt32BE(processId);
  return message("K", id, secretKey);
}

/** ReadyForQuery; `I` idle, `T` in a transaction, `E` in a failed one. */
export function readyForQuery(status: "I" | "T" | "E"): Buffer {
  return message("Z", Buffer.from(status, "latin1"));
}

/** ParameterStatus: the value of a setting that clients are told of. */
export function parameterStatus(name: string, value: string): Buffer {
  return message("S", Buffer.from(`${name}\0${value}\0`, "utf8"));
}

/** NegotiateProtocolVersion: the version to go on with, and the options that are not known. */
export function negotiateProtocolVersion(minor: number, unknownOptions: readonly string[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(3, 0);
  head.writeUInt16BE(minor, 2);
  head.writeInt32BE(unknownOptions.length, 4);
  const names = unknownOptions.map((name) => `${name}\0`).join("");
  return message("v", head, Buffer.from(names, "utf8"));
}

/** A frame of a type and the parts of its body. */
export function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const frame = Buffer.concat([Buffer.alloc(5), ...parts]);
  frame.write(type, 0, 1, "latin1");
  frame.writeInt32BE(frame.length - 1, 1);
  return frame;
}
