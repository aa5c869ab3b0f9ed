import { createPrivateKey, X509Certificate } from "node:crypto";
import { ok, textLeaf, wrong } from "./leaf.ts";
import type { Parsed } from "./leaf.ts";
import type { z } from "zod";

/** The texts of the files that a configuration names, by the name written there; undefined for one that cannot be read. */
export type FileTexts = ReadonlyMap<string, string | undefined>;

/** A PEM text: written out, or the name of the file that holds it. */
export function pem(kind: "certificate" | "key", files: FileTexts): z.ZodType<string> {
  return textLeaf({ minLength: 1 }, (name) => readPem(name, kind, files));
}

/** @returns the PEM text that `name` is or leads to, once it is known to be of the kind. */
export function readPem(
  name: string,
  kind: "certificate" | "key",
  files: FileTexts,
): Parsed<string> {
  const content = isPem(name) ? name : files.get(name);
  if (content === undefined) return wrong("the file cannot be read");
  try {
    if (kind === "key") createPrivateKey(content);
    else void new X509Certificate(content);
  } catch {
    // What OpenSSL says is of no use to people, and the file's content must not be repeated.
    return wrong(
      `holds no ${kind === "key" ? "private key without a passphrase" : "certificate"} in PEM form`,
    );
  }
  return ok(content);
}

/** Whether the text is PEM itself rather than the name of a file. */
export function isPem(text: string): boolean {
  return text.startsWith("-----BEGIN ");
}

/** Whether the key is the certificate's. Both must be readable. */
export function belongTogether(cert: string, key: string): boolean {
  return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
}
