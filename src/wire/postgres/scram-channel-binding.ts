import { createHash } from "node:crypto";
import { signatureAlgorithmHashFromCertificate } from "pg/lib/crypto/cert-signatures.js";

/**
 * The `tls-server-end-point` binding of a connection: the hash of the server's certificate (DER), by
 * the hash function of its signature; undefined where there is none, then PLUS is not on offer.
 * @see https://www.rfc-editor.org/rfc/rfc5929#section-4.1
 */
export function serverEndPointHash(certificate: Uint8Array): Buffer | undefined {
  try {
    const name = signatureAlgorithmHashFromCertificate(Buffer.from(certificate));
    const weak = name === "MD5" || name === "SHA-1";
    return createHash(weak ? "sha256" : name.replace("SHA-", "sha"))
      .update(certificate)
      .digest();
  } catch {
    // An algorithm that has no hash, or none that OpenSSL knows: libpq does not bind then either.
    return undefined;
  }
}
