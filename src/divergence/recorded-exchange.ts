import type { Statement } from "../sql/statement.ts";

/**
 * All that is needed to ask both sides a question again: it holds the client's values, so it stays in
 * memory unless the configuration allows it on the disk.
 */
export type RecordedExchange = {
  readonly user: string;
  /** The client's startup parameters, `user` and `database` left out. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** SET statements that give a new session the client's settings, in order. */
  readonly settings: readonly string[];
  /** Parse frames of the statements that it binds and that were prepared before. */
  readonly prepared: readonly Uint8Array[];
  /** The request as the client sent it, one exchange. */
  readonly frames: Uint8Array;
  /** The statements that it executes, in order. */
  readonly statements: readonly Statement[];
  /** Where the sides were when the difference was seen, as far as known. */
  readonly positions: { readonly primary: string | null; readonly shadow: string | null };
};
