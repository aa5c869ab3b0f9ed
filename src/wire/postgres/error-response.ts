/** The fields that Twinwire itself fills in. PostgreSQL's names for them, in the order it sends them. */
export type ErrorFields = {
  readonly severity: "ERROR" | "FATAL" | "PANIC" | "WARNING" | "NOTICE" | "INFO" | "LOG" | "DEBUG";
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly file?: string | undefined;
  readonly routine?: string | undefined;
};

/** @see https://www.postgresql.org/docs/18/protocol-error-fields.html */
const LETTERS = {
  sqlstate: "C",
  message: "M",
  detail: "D",
  hint: "H",
  file: "F",
  routine: "R",
} as const;

/** A whole ErrorResponse frame. Zero bytes in a text end it there. */
export function errorResponse(fields: ErrorFields): Buffer {
  return frame("E", fields);
}

/** A whole NoticeResponse frame. */
export function noticeResponse(fields: ErrorFields): Buffer {
  return frame("N", fields);
}

function frame(type: "E" | "N", fields: ErrorFields): Buffer {
  // S is for people and may be translated, V for programs.
  let body = field("S", fields.severity) + field("V", fields.severity);
  for (const [name, letter] of Object.entries(LETTERS)) {
    const value = fields[name as keyof typeof LETTERS];
    if (value !== undefined) body += field(letter, value);
  }
  const bytes = Buffer.from(`${type}0000${body}\0`, "utf8");
  bytes.writeInt32BE(bytes.length - 1, 1);
  return bytes;
}

function field(letter: string, value: string): string {
  const zero = value.indexOf("\0");
  return `${letter}${zero < 0 ? value : value.slice(0, zero)}\0`;
}

/** What a client of protocol 2 understands: the letter E and a line of text. */
export function oldErrorResponse(message: string): Buffer {
  return Buffer.from(`EFATAL:  ${message}\n\0`, "utf8");
}

/**
 * The fields of a whole ErrorResponse or NoticeResponse frame by their letters, texts read as UTF-8.
 * What is not well formed is left out.
 */
export function errorFields(response: Uint8Array): ReadonlyMap<string, string> {
  const bytes = Buffer.from(response.buffer, response.byteOffset, response.byteLength);
  const fields = new Map<string, string>();
  let at = 5;
  for (let letter = bytes[at]; letter !== undefined && letter !== 0; letter = bytes[at]) {
    const end = bytes.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(letter), bytes.toString("utf8", at + 1, end));
    at = end + 1;
  }
  return fields;
}
