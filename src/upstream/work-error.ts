import { CodedError } from "../base/errors.ts";
import { errorFields } from "../wire/postgres/error-response.ts";

/** SQLSTATE classes whose messages may repeat data: data exceptions, constraints, errors raised by functions. */
const CLASSES_WITH_VALUES = ["22", "23", "P0"];

/**
 * The server refused a statement of Twinwire's. `message` holds no values and may be logged; what may hold some is behind
 * getters of the class, which loggers do not follow.
 */
export class WorkError extends CodedError {
  readonly #fields: ReadonlyMap<string, string>;
  /** Which statement of a pipeline, from 0. */
  readonly index: number;

  constructor(fields: ReadonlyMap<string, string>, index = 0) {
    super("backend_refused", sentence(fields));
    this.name = "WorkError";
    this.#fields = fields;
    this.index = index;
  }

  /** From a whole ErrorResponse. */
  static read(response: Uint8Array, index = 0): WorkError {
    return new WorkError(errorFields(response), index);
  }

  /** The server's, not the catalogue's. */
  override get sqlstate(): string {
    return this.#fields.get("C") ?? "";
  }

  get constraint(): string | undefined {
    return this.#fields.get("n");
  }

  get schema(): string | undefined {
    return this.#fields.get("s");
  }

  get table(): string | undefined {
    return this.#fields.get("t");
  }

  get column(): string | undefined {
    return this.#fields.get("c");
  }

  get dataType(): string | undefined {
    return this.#fields.get("d");
  }

  /** The server's own words. They may hold customers' values: not for logs. */
  get serverMessage(): string {
    return this.#fields.get("M") ?? "";
  }

  /** May hold customers' values: not for logs. */
  get detail(): string | undefined {
    return this.#fields.get("D");
  }

  /** Where in PL/pgSQL, COPY or a cast it happened. May hold customers' values: not for logs. */
  get where(): string | undefined {
    return this.#fields.get("W");
  }
}

/** What an ErrorResponse says, as far as it may be logged. */
export function speakable(fields: ReadonlyMap<string, string>): string {
  const sqlstate = fields.get("C") ?? "";
  const silent = CLASSES_WITH_VALUES.includes(sqlstate.slice(0, 2));
  return silent ? `SQLSTATE ${sqlstate}` : `${fields.get("M") ?? ""} (SQLSTATE ${sqlstate})`;
}

function sentence(fields: ReadonlyMap<string, string>): string {
  const where = [fields.get("s"), fields.get("t"), fields.get("c")].filter(Boolean).join(".");
  const constraint = fields.get("n");
  const about = [
    where === "" ? "" : ` at ${where}`,
    constraint === undefined ? "" : `, constraint "${constraint}"`,
  ].join("");
  return `the database refused a statement of Twinwire's: ${speakable(fields)}${about}`;
}
