import type { Ask } from "./ask.ts";
import type { Form } from "./ask.ts";
import type { Outcome } from "./outcome.ts";

/** One thing that is wrong with the new database, how it shows, and what it has to be called. */
export type Fault = {
  /** The kind of fault, in words. */
  readonly why: string;
  /** SQL as superuser, before Twinwire starts: `both` first, then what makes the difference. */
  readonly both?: string;
  readonly old?: string;
  readonly new?: string;
  /** Instead: SQL on NEW that takes effect with the next login and is taken back afterwards. */
  readonly login?: { readonly set: string; readonly reset: string };
  /** Said in the same session before and after, not judged. */
  readonly before?: readonly string[];
  readonly after?: readonly string[];
  readonly ask: Ask;
  readonly found: Outcome;
  /** Where a form shows it otherwise: a spelling is the same in the binary format. */
  readonly except?: Readonly<Partial<Record<Form, Outcome>>>;
};

/** A name for a relation made of the kind of fault. */
export function nameOf(why: string): string {
  return why
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .slice(0, 40);
}
