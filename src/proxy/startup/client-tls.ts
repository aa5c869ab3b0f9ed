import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { SecureContext } from "node:tls";
import { serverEndPointHash } from "../../wire/postgres/scram-channel-binding.ts";
import { StartupFailure } from "./startup-failure.ts";

/** How Twinwire shows itself to clients over TLS. Made once and used for many connections. */
export type ClientTls = {
  readonly context: SecureContext;
  /** For channel binding; undefined where the certificate's signature has no hash function. */
  readonly certificateHash: Uint8Array | undefined;
};

/** The name of the protocol in TLS's ALPN extension. */
const ALPN_NAME = "postgresql";

/**
 * @param pem certificate (with the chain after it) and private key, as PEM texts.
 * @throws when they are not what they should be, or do not belong together.
 */
export function openClientTls(pem: { readonly cert: string; readonly key: string }): ClientTls {
  const context = createSecureContext({ ...pem, minVersion: "TLSv1.2" });
  return { context, certificateHash: serverEndPointHash(new X509Certificate(pem.cert).raw) };
}

/**
 * Does the server's part of a handshake on a socket that nothing listens on; bytes that are in its
 * buffer belong to TLS. Resolves to the encrypted stream once the handshake is done.
 * @throws StartupFailure when it fails or the client goes away. Without a time limit of its own:
 * destroying `socket` ends it.
 */
export function secureClient(socket: Socket, tls: ClientTls): Promise<TLSSocket> {
  const encrypted = new TLSSocket(socket, {
    isServer: true,
    secureContext: tls.context,
    ALPNProtocols: [ALPN_NAME],
    requestCert: false,
  });
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      encrypted.off("secure", done);
      for (const event of FAILURES) encrypted.off(event, failed);
    };
    const done = (): void => {
      settle();
      takeControl(encrypted);
      resolve(encrypted);
    };
    const failed = (error?: Error | boolean): void => {
      settle();
      encrypted.on("error", () => {});
      encrypted.destroy();
      const cause = error instanceof Error ? `: ${error.message}` : "";
      reject(new StartupFailure("tls_failed", `the TLS handshake failed${cause}`));
    };
    encrypted.on("secure", done);
    for (const event of FAILURES) encrypted.on(event, failed);
  });
}

const FAILURES = ["_tlsError", "error", "close"] as const;

/** The client named PostgreSQL's protocol, which it must when it begins with TLS at once. */
export function agreedOnProtocol(encrypted: TLSSocket): boolean {
  return encrypted.alpnProtocol === ALPN_NAME;
}

/**
 * After the handshake a TLS socket keeps its errors to itself until its owner asks for them, as
 * `tls.Server` does, and even then it stays open. After a corrupt record there is nothing to wait for.
 */
function takeControl(encrypted: TLSSocket): void {
  const owned = encrypted as TLSSocket & { _releaseControl?: () => boolean };
  owned._releaseControl?.();
  encrypted.on("_tlsError", () => encrypted.destroy());
}
