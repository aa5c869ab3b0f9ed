import { parameterStatus } from "../wire/postgres/backend-messages.ts";

/** The name and value of a whole ParameterStatus frame. */
export function readParameterStatus(
  bytes: Buffer,
  start: number,
  end: number,
): readonly [name: string, value: string] {
  const [name = "", value = ""] = bytes.toString("utf8", start + 5, end - 1).split("\0");
  return [name, value];
}

/**
 * The messages that tell a client what is different on the server it has been moved to. Servers
 * may send them at any time.
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
 */
export function changedParameters(
  told: ReadonlyMap<string, string>,
  actual: ReadonlyMap<string, string>,
): Buffer {
  const changed = [...actual].filter(([name, value]) => told.get(name) !== value);
  return Buffer.concat(changed.map(([name, value]) => parameterStatus(name, value)));
}
