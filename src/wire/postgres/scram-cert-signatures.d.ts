/** What pg uses of its own to find a certificate's hash; it carries no types for it. */
declare module "pg/lib/crypto/cert-signatures.js" {
  /** @throws for an algorithm without a hash of its own, and for what is no certificate. */
  export function signatureAlgorithmHashFromCertificate(certificate: Buffer): string;
}
