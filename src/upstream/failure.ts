import { CodedError, messageOf } from "../base/errors.ts";
import type { ServerAddress } from "./server-address.ts";

/** The outcome of what failed, saying with which server. */
export function failure(
  { host, port }: ServerAddress,
  error: unknown,
): { readonly kind: "failed"; readonly error: CodedError } {
  const code = error instanceof CodedError ? error.code : "backend_lost";
  const cause = error instanceof CodedError ? error.cause : error;
  const message = `${host}:${port}: ${messageOf(error)}`;
  return { kind: "failed", error: new CodedError(code, message, { cause }) };
}
