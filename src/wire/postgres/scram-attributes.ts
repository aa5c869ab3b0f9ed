/** A message that ends the login; `sqlstate` and texts are PostgreSQL's own. */
export type ScramFault = {
  readonly kind: "fault";
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string;
};

/** Carries a fault from the depth of a message to where its reading began. */
class FaultFound extends Error {
  readonly fault: ScramFault;

  constructor(fault: ScramFault) {
    super(fault.message);
    this.name = "FaultFound";
    this.fault = fault;
  }
}

/** Reads a client's message; what `read` finds wrong with `ScramMessage.fail` is the result. */
export function readScram<T>(text: string, read: (message: ScramMessage) => T): T | ScramFault {
  try {
    return read(new ScramMessage(text));
  } catch (error) {
    if (error instanceof FaultFound) return error.fault;
    throw error;
  }
}

/** A message being read from left to right: attributes like `r=value`, joined by commas. */
export class ScramMessage {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    if (text === "") this.malformed("The message is empty.");
    if (text.includes("\0")) this.malformed("Message length does not match input length.");
  }

  get at(): number {
    return this.#at;
  }

  /** The character that comes next; empty at the end. */
  get next(): string {
    return this.#text.charAt(this.#at);
  }

  skip(characters: number): void {
    this.#at += characters;
  }

  /** The value of the next attribute, which must be this one. */
  take(name: string): string {
    if (this.next !== name) {
      this.malformed(`Expected attribute "${name}" but found "${printable(this.next)}".`);
    }
    return this.takeAny().value;
  }

  takeAny(): { readonly name: string; readonly value: string } {
    const name = this.next;
    if (name === "") this.malformed("Attribute expected, but found end of string.");
    if (!/[A-Za-z]/.test(name)) {
      this.malformed(`Attribute expected, but found invalid character "${printable(name)}".`);
    }
    this.skip(1);
    if (this.next !== "=") this.malformed(`Expected character "=" for attribute "${name}".`);
    this.skip(1);
    const comma = this.#text.indexOf(",", this.#at);
    const end = comma < 0 ? this.#text.length : comma;
    const value = this.#text.slice(this.#at, end);
    this.#at = comma < 0 ? end : end + 1;
    return { name, value };
  }

  malformed(detail: string): never {
    return this.fail("08P01", "malformed SCRAM message", detail);
  }

  fail(sqlstate: string, message: string, detail?: string): never {
    const fault = { kind: "fault", sqlstate, message } as const;
    throw new FaultFound(detail === undefined ? fault : { ...fault, detail });
  }
}

/** One character as PostgreSQL shows it in these errors. */
export function printable(character: string): string {
  const code = character === "" ? 0 : character.charCodeAt(0);
  return code >= 0x21 && code <= 0x7e
    ? `'${character}'`
    : `0x${code.toString(16).padStart(2, "0")}`;
}
