import type { ErrorFields } from "../../wire/postgres/error-response.ts";

/** Why a connection ended before it was a session; few enough to be counted by. */
export type EndReason =
  /** The client went away, in the middle of a packet or before any. */
  | "closed"
  | "timeout"
  /** Bytes that are no startup packet, or a message out of place. */
  | "malformed"
  /** A version or feature that does not exist here. */
  | "unsupported"
  | "tls_failed"
  | "authentication_failed"
  /** Twinwire could not find out who the user is. */
  | "lookup_failed"
  /** A mistake of ours. */
  | "internal";

/** Ends a startup: thrown where a client breaks it off or breaks the rules. `answer` is what it is told. */
export class StartupFailure extends Error {
  readonly reason: EndReason;
  readonly answer: ErrorFields | Buffer | undefined;

  constructor(reason: EndReason, message: string, answer?: ErrorFields | Buffer) {
    super(message);
    this.name = "StartupFailure";
    this.reason = reason;
    this.answer = answer;
  }
}

/** A failure of which the client is told in PostgreSQL's words; all of them are fatal to a startup. */
export function refusal(
  reason: EndReason,
  sqlstate: string,
  message: string,
  more?: Pick<ErrorFields, "detail" | "hint" | "file" | "routine">,
): StartupFailure {
  const answer: ErrorFields = { severity: "FATAL", sqlstate, message, ...more };
  return new StartupFailure(reason, message, answer);
}
