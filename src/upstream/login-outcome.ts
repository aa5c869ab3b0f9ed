import { CodedError } from "../base/errors.ts";
import { errorFields } from "../wire/postgres/error-response.ts";
import type { Dialled, DialOutcome } from "./dial.ts";
import { speakable } from "./work-error.ts";

/** The session that a dial came to. @throws CodedError with what the server said, or why it could not be reached */
export function loggedIn(
  outcome: DialOutcome,
  { host, port, user }: { readonly host: string; readonly port: number; readonly user: string },
): Dialled {
  switch (outcome.kind) {
    case "ready":
      return outcome.server;
    case "failed":
      throw outcome.error;
    case "refused": {
      const said = speakable(errorFields(outcome.errorFrame));
      const message = `${host}:${port} refused the login of "${user}": ${said}`;
      throw new CodedError("backend_refused", message);
    }
  }
}
