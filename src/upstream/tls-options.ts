import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { ConnectionOptions, PeerCertificate } from "node:tls";
import { CodedError } from "../base/errors.ts";
import type { ServerAddress } from "./server-address.ts";

/**
 * What of the server's certificate is checked, by `sslmode`: as in libpq a root certificate is used
 * in every mode that has one, and only verify-full looks at the name.
 * @throws CodedError config_invalid for a mode that cannot be kept.
 * @see https://www.postgresql.org/docs/current/libpq-ssl.html
 */
export function tlsOptions(address: ServerAddress): ConnectionOptions {
  const { host, tls } = address;
  const { mode, rootCert, cert, key } = tls;
  if (mode === "verify-ca" && rootCert === undefined) {
    throw new CodedError(
      "config_invalid",
      "sslmode=verify-ca needs a root certificate: a public authority signs for anybody",
    );
  }
  return {
    minVersion: "TLSv1.2",
    ALPNProtocols: ["postgresql"],
    rejectUnauthorized: mode === "verify-full" || rootCert !== undefined,
    checkServerIdentity: (_host, certificate) =>
      mode === "verify-full" ? identityProblem(host, certificate) : undefined,
    // A name only: RFC 6066 allows no address here.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(rootCert === undefined ? {} : { ca: rootCert }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

/** Stricter than Node.js, like libpq: a wildcard is one whole first label; an address may also be the common name. */
function identityProblem(host: string, peer: PeerCertificate): Error | undefined {
  const certificate = new X509Certificate(peer.raw);
  if (isIP(host) !== 0 && certificate.checkIP(host) !== undefined) return undefined;
  const hasAddress = certificate.subjectAltName?.includes("IP Address:") === true;
  const found = certificate.checkHost(host, {
    subject: hasAddress ? "never" : "default",
    partialWildcards: false,
  });
  if (found !== undefined) return undefined;
  return new Error(`the server's certificate is not for "${host}"`);
}
