import { isUtf8 } from "node:buffer";
import { MAX_SECRET_KEY_BYTES, MAX_STARTUP_BYTES } from "./protocol.ts";

/** Parameters in the order they came, duplicates included. */
export type StartupParameters = readonly (readonly [name: string, value: string])[];

/** What a client may begin a connection with. */
export type StartupPacket =
  | { readonly type: "ssl_request" }
  | { readonly type: "gssenc_request" }
  | {
      readonly type: "cancel_request";
      readonly processId: number;
      readonly secretKey: Uint8Array;
    }
  | { readonly type: "startup"; readonly minor: number; readonly parameters: StartupParameters }
  /** A version that is not 3.x, or a request code nobody knows. */
  | { readonly type: "unsupported"; readonly major: number; readonly minor: number }
  | { readonly type: "malformed"; readonly sqlstate: string; readonly message: string };

const PROTOCOL_MAJOR = 3;
const REQUEST_MAJOR = 1234;
const CANCEL_REQUEST = 5678;
const SSL_REQUEST = 5679;
const GSSENC_REQUEST = 5680;

/**
 * The size of a startup packet after its length word of 4 bytes; undefined where that cannot be one.
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
export function startupBodyBytes(lengthWord: Buffer): number | undefined {
  const size = lengthWord.readInt32BE(0) - 4;
  return size < 4 || size > MAX_STARTUP_BYTES ? undefined : size;
}

/** Reads what follows the length word, at least 4 bytes. */
export function decodeStartup(body: Buffer): StartupPacket {
  const major = body.readUInt16BE(0);
  const minor = body.readUInt16BE(2);
  if (major === REQUEST_MAJOR) {
    if (minor === SSL_REQUEST) return { type: "ssl_request" };
    if (minor === GSSENC_REQUEST) return { type: "gssenc_request" };
    if (minor === CANCEL_REQUEST) return decodeCancel(body);
  }
  return major === PROTOCOL_MAJOR
    ? decodeParameters(body, minor)
    : { type: "unsupported", major, minor };
}

function decodeCancel(body: Buffer): StartupPacket {
  if (body.length < 8) return malformed("invalid length of query cancel packet");
  const secretKey = Buffer.from(body.subarray(8));
  if (secretKey.length === 0 || secretKey.length > MAX_SECRET_KEY_BYTES) {
    return malformed("invalid length of query cancel key");
  }
  return { type: "cancel_request", processId: body.readInt32BE(4), secretKey };
}

function decodeParameters(body: Buffer, minor: number): StartupPacket {
  // Parameters go on to the servers: what cannot be read is not passed on changed.
  if (!isUtf8(body.subarray(4))) return malformed("startup parameters are not UTF-8", "22021");
  const parameters: [string, string][] = [];
  let at = 4;
  while (body[at] !== 0) {
    const nameEnd = body.indexOf(0, at);
    const valueEnd = nameEnd < 0 ? -1 : body.indexOf(0, nameEnd + 1);
    if (valueEnd < 0) return malformed(BAD_LAYOUT);
    parameters.push([
      body.toString("utf8", at, nameEnd),
      body.toString("utf8", nameEnd + 1, valueEnd),
    ]);
    at = valueEnd + 1;
  }
  return at === body.length - 1 ? { type: "startup", minor, parameters } : malformed(BAD_LAYOUT);
}

const BAD_LAYOUT = "invalid startup packet layout: expected terminator as last byte";

function malformed(message: string, sqlstate = "08P01"): StartupPacket {
  return { type: "malformed", sqlstate, message };
}

/** The packet with its length word; parameters must not hold zero bytes. */
export function encodeStartup(
  packet: Exclude<StartupPacket, { readonly type: "malformed" }>,
): Buffer {
  switch (packet.type) {
    case "ssl_request":
      return encode(REQUEST_MAJOR, SSL_REQUEST, Buffer.alloc(0));
    case "gssenc_request":
      return encode(REQUEST_MAJOR, GSSENC_REQUEST, Buffer.alloc(0));
    case "unsupported":
      return encode(packet.major, packet.minor, Buffer.alloc(0));
    case "startup":
      return encode(
        PROTOCOL_MAJOR,
        packet.minor,
        Buffer.from(
          `${packet.parameters
            .flat()
            .map((text) => `${text}\0`)
            .join("")}\0`,
          "utf8",
        ),
      );
    case "cancel_request": {
      const processId = Buffer.alloc(4);
      processId.writeInt32BE(packet.processId);
      return encode(REQUEST_MAJOR, CANCEL_REQUEST, Buffer.concat([processId, packet.secretKey]));
    }
  }
}

function encode(major: number, minor: number, rest: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + rest.length, 0);
  head.writeUInt16BE(major, 4);
  head.writeUInt16BE(minor, 6);
  return Buffer.concat([head, rest]);
}

/** What the `replication` parameter asks for; undefined where PostgreSQL would not understand it. */
export function replicationMode(value: string): boolean | "database" | undefined {
  if (value === "database") return "database";
  const word = value.toLowerCase();
  if (word === "" || word === "o") return undefined;
  if (["true", "yes", "on", "1"].some((known) => known.startsWith(word))) return true;
  if (["false", "no", "off", "0"].some((known) => known.startsWith(word))) return false;
  return undefined;
}
