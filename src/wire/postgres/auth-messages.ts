import { message } from "./backend-messages.ts";

/**
 * The messages of a login, seen from the server.
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html
 */
const authentication = (code: number, ...data: readonly Uint8Array[]): Buffer => {
  const head = Buffer.alloc(4);
  head.writeInt32BE(code);
  return message("R", head, ...data);
};

/** AuthenticationOk: the login is complete. */
export function authenticationOk(): Buffer {
  return authentication(0);
}

/** AuthenticationCleartextPassword: asks for a PasswordMessage. */
export function authenticationCleartext(): Buffer {
  return authentication(3);
}

/** AuthenticationSASL: the mechanisms on offer, best first. */
export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  const names = mechanisms.map((name) => `${name}\0`).join("");
  return authentication(10, Buffer.from(`${names}\0`, "latin1"));
}

/** AuthenticationSASLContinue; `data` holds one byte in each character. */
export function authenticationSaslContinue(data: string): Buffer {
  return authentication(11, Buffer.from(data, "latin1"));
}

/** AuthenticationSASLFinal; `data` holds one byte in each character. */
export function authenticationSaslFinal(data: string): Buffer {
  return authentication(12, Buffer.from(data, "latin1"));
}

/** The type of all four answers of a client during the login: `p`. */
export const PASSWORD_TYPE = 0x70;
/** PostgreSQL's own limits for bodies of those answers. */
export const MAX_PASSWORD_BYTES = 65_535;
export const MAX_SASL_BYTES = 1024;

export type AuthFault = { readonly kind: "fault"; readonly message: string };

/** SASLInitialResponse: the mechanism chosen, and its first data if the client sent any. */
export type SaslInitial = {
  readonly kind: "initial";
  readonly mechanism: string;
  readonly data: string | undefined;
};

/** Reads the body of SASLInitialResponse; `data` has one byte in each character. */
export function readSaslInitial(body: Buffer): SaslInitial | AuthFault {
  const nameEnd = body.indexOf(0);
  if (nameEnd < 0) return fault("invalid string in message");
  if (body.length < nameEnd + 5) return fault("insufficient data left in message");
  const mechanism = body.toString("latin1", 0, nameEnd);
  const size = body.readInt32BE(nameEnd + 1);
  const start = nameEnd + 5;
  if (size === -1 && start === body.length) return { kind: "initial", mechanism, data: undefined };
  if (size < 0 || start + size > body.length) return fault("insufficient data left in message");
  if (start + size < body.length) return fault("invalid message format");
  return { kind: "initial", mechanism, data: body.toString("latin1", start) };
}

/** Reads the body of PasswordMessage. The password is bytes: nothing says that it is UTF-8. */
export function readPassword(
  body: Buffer,
): { readonly kind: "password"; readonly password: Buffer } | AuthFault {
  if (body.length === 0 || body.indexOf(0) !== body.length - 1)
    return fault("invalid password packet size");
  return { kind: "password", password: body.subarray(0, -1) };
}

function fault(text: string): AuthFault {
  return { kind: "fault", message: text };
}
