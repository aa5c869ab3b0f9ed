/**
 * What a client sends up to its first query.
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { CodedError } from "../base/errors.ts";
import { message } from "../wire/postgres/backend-messages.ts";
import { encodeStartup } from "../wire/postgres/startup.ts";
import type { StartupParameters } from "../wire/postgres/startup.ts";

const PASSWORD = "p";

/** StartupMessage of protocol 3.0. @throws CodedError protocol_violation for a zero byte in a parameter. */
export function startupMessage(parameters: StartupParameters): Buffer {
  for (const text of parameters.flat()) refuseZero(text);
  return encodeStartup({ type: "startup", minor: 0, parameters });
}

/** PasswordMessage: the password itself, or its md5 answer. */
export function passwordMessage(password: string): Buffer {
  refuseZero(password);
  return message(PASSWORD, Buffer.from(`${password}\0`, "utf8"));
}

/** `data` holds one byte in each character (latin1), like all SCRAM messages. */
export function saslInitialResponse(mechanism: string, data: string): Buffer {
  const bytes = Buffer.from(data, "latin1");
  const size = Buffer.alloc(4);
  size.writeInt32BE(bytes.length);
  return message(PASSWORD, Buffer.from(`${mechanism}\0`, "latin1"), size, bytes);
}

export function saslResponse(data: string): Buffer {
  return message(PASSWORD, Buffer.from(data, "latin1"));
}

/** A zero byte would end the text there, and what follows it would be read as something else. */
function refuseZero(text: string): void {
  if (!text.includes("\0")) return;
  throw new CodedError("protocol_violation", "a startup value or password holds a zero byte");
}
