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

/** Without what can be worked out anew from its frames. */
export type StoredExchange = Omit<RecordedExchange, "statements">;

/** As one JSON text; frames in base64. */
export function savedExchange({ statements: _anew, ...exchange }: RecordedExchange): string {
  return JSON.stringify({
    ...exchange,
    prepared: exchange.prepared.map(base64),
    frames: base64(exchange.frames),
  });
}

export function restoredExchange(document: string): StoredExchange {
  const saved = JSON.parse(document) as Omit<StoredExchange, "prepared" | "frames"> & {
    readonly prepared: readonly string[];
    readonly frames: string;
  };
  return {
    ...saved,
    prepared: saved.prepared.map((frame) => Buffer.from(frame, "base64")),
    frames: Buffer.from(saved.frames, "base64"),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
