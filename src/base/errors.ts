/**
 * The catalogue of everything Twinwire says is wrong. `sqlstate` is what a database client sees
 * where the error reaches one.
 */
export const ERRORS = {
  config_invalid: { sqlstate: "F0000", sentence: "The configuration is not valid." },
  protocol_violation: { sqlstate: "08P01", sentence: "The peer broke the protocol." },
  authentication_failed: { sqlstate: "28P01", sentence: "Password authentication failed." },
  backend_unreachable: { sqlstate: "08006", sentence: "The database could not be reached." },
  backend_refused: { sqlstate: "08004", sentence: "The database refused the connection." },
  backend_lost: { sqlstate: "08006", sentence: "The database closed the connection." },
  too_many_connections: { sqlstate: "53300", sentence: "Too many connections." },
  session_moved: {
    sqlstate: "57P01",
    sentence: "The connection was ended because its session cannot move to the other database.",
  },
  shutting_down: { sqlstate: "57P01", sentence: "Twinwire is shutting down." },
  refused_by_guard: { sqlstate: "55000", sentence: "A guard refused the operation." },
  conflict: { sqlstate: "55006", sentence: "Another operation is under way." },
  not_found: { sqlstate: "42704", sentence: "No such thing." },
  slot_lost: {
    sqlstate: "55000",
    sentence: "The source no longer keeps the log that is needed to go on.",
  },
  source_changed: { sqlstate: "55000", sentence: "The source is not the server it was before." },
  store_failed: { sqlstate: "58030", sentence: "The store could not be read or written." },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a code from the catalogue. `message` says what happened and what to do about it. */
export class CodedError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CodedError";
    this.code = code;
  }

  get sqlstate(): string {
    return ERRORS[this.code].sqlstate;
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
