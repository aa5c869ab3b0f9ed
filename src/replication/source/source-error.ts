import { CodedError, messageOf } from "../../base/errors.ts";
import { WorkError } from "../../upstream/work-error.ts";

/** What the server says of a slot, a publication or a log that is not there any more, by its name. */
export function sourceError(error: unknown, slot: string): CodedError {
  if (!(error instanceof WorkError)) {
    return error instanceof CodedError
      ? error
      : new CodedError("backend_lost", messageOf(error), { cause: error });
  }
  const { sqlstate, serverMessage } = error;
  if (sqlstate === "42704" && serverMessage.includes("publication")) {
    return new CodedError("not_found", serverMessage, { cause: error });
  }
  if (sqlstate === "42704" || sqlstate === "55000" || sqlstate === "58P01") {
    const message = `the replication slot "${slot}" cannot be read: ${serverMessage}`;
    return new CodedError("slot_lost", message, { cause: error });
  }
  return error;
}
