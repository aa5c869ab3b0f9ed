import { timingSafeEqual } from "node:crypto";
import { SCRAM_SHA_256_PLUS, base64, decodeBase64, hmac, sha256, xor } from "./scram.ts";
import type { ScramVerifier } from "./scram.ts";
import { printable, readScram } from "./scram-attributes.ts";
import type { ScramFault, ScramMessage } from "./scram-attributes.ts";

/** What the client chose, and what it could have chosen. */
export type ScramOffer = {
  readonly mechanism: string;
  /** Hash of this connection's certificate where SCRAM-SHA-256-PLUS was offered. */
  readonly certificateHash: Uint8Array | undefined;
};

/** client-first-message taken apart. Messages hold one byte in each character (latin1). */
export type ScramClientFirst = {
  readonly kind: "first";
  readonly bare: string;
  readonly nonce: string;
  /** What the `c=` attribute of the final message must be. */
  readonly bound: string;
  readonly plus: boolean;
};

/** The challenge sent, with what is needed to check the answer. */
export type ScramSent = {
  readonly first: ScramClientFirst;
  /** server-first-message, the data of AuthenticationSASLContinue. */
  readonly message: string;
  readonly nonce: string;
};

/**
 * `proven` carries the client's own key, which logs in wherever the same verifier is stored, and
 * server-final-message, the data of AuthenticationSASLFinal.
 */
export type ScramProof =
  | {
      readonly kind: "proven";
      readonly clientKey: Uint8Array;
      readonly serverFinal: string;
    }
  | { readonly kind: "wrong" };

/** Reads client-first-message. @see https://www.rfc-editor.org/rfc/rfc5802#section-7 */
export function readClientFirst(text: string, offer: ScramOffer): ScramClientFirst | ScramFault {
  return readScram(text, (message) => {
    const plus = offer.mechanism === SCRAM_SHA_256_PLUS;
    skipBindingFlag(message, plus, offer);
    if (message.next === "a") {
      message.fail("0A000", "client uses authorization identity, but it is not supported");
    }
    if (message.next !== ",") {
      const found = printable(message.next);
      message.malformed(`Unexpected attribute "${found}" in client-first-message.`);
    }
    message.skip(1);
    const header = text.slice(0, message.at);
    const bare = text.slice(message.at);
    if (message.next === "m") {
      message.fail("0A000", "client requires an unsupported SCRAM extension");
    }
    message.take("n");
    const nonce = message.take("r");
    if (!/^[\x21-\x7e]*$/.test(nonce)) {
      message.fail("08P01", "non-printable characters in SCRAM nonce");
    }
    while (message.next !== "") message.takeAny();
    const data = plus && offer.certificateHash ? offer.certificateHash : Buffer.alloc(0);
    const bound = base64(Buffer.concat([Buffer.from(header, "latin1"), data]));
    return { kind: "first", bare, nonce, bound, plus };
  });
}

/** The client says whether it binds the login to TLS: `n` it cannot, `y` it thinks we cannot, `p=` how. */
function skipBindingFlag(message: ScramMessage, plus: boolean, offer: ScramOffer): void {
  const flag = message.next;
  if (flag === "p") {
    if (!plus) message.malformed(BINDING_UNANNOUNCED);
    const type = message.take("p");
    if (type === "tls-server-end-point") return;
    const shown = type.slice(0, 30).replaceAll(/[^\x21-\x7e]/g, "?");
    message.fail("08P01", `unsupported SCRAM channel-binding type "${shown}"`);
  }
  if (flag !== "n" && flag !== "y") {
    message.malformed(`Unexpected channel-binding flag "${printable(flag)}".`);
  }
  if (plus) message.malformed(BINDING_MISSING);
  // Somebody in between may have taken the stronger mechanism off the list.
  if (flag === "y" && offer.certificateHash) {
    message.fail("28000", "SCRAM channel binding negotiation error", BINDING_HIDDEN);
  }
  message.skip(1);
  if (message.next !== ",") {
    message.malformed(`Comma expected, but found character "${printable(message.next)}".`);
  }
  message.skip(1);
}

const BINDING_UNANNOUNCED =
  "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.";
const BINDING_MISSING =
  "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.";
const BINDING_HIDDEN =
  "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.";

/** `nonce` is fresh printable randomness without commas: 18 random bytes in base64. */
export function challengeClient(
  first: ScramClientFirst,
  nonce: string,
  verifier: { readonly salt: Uint8Array; readonly iterations: number },
): ScramSent {
  const joined = first.nonce + nonce;
  const message = `r=${joined},s=${base64(verifier.salt)},i=${verifier.iterations}`;
  return { first, message, nonce: joined };
}

/** client-final-message taken apart; that it is well formed says nothing about its proof. */
export type ScramClientFinal = {
  readonly kind: "final";
  readonly proof: Uint8Array;
  readonly authMessage: string;
};

/** Reads client-final-message, all but the proof checked. */
export function readClientFinal(text: string, sent: ScramSent): ScramClientFinal | ScramFault {
  return readScram(text, (message) => {
    if (message.take("c") !== sent.first.bound) {
      if (sent.first.plus) message.fail("28000", "SCRAM channel binding check failed");
      message.fail("08P01", "unexpected SCRAM channel-binding attribute in client-final-message");
    }
    const nonce = message.take("r");
    let proofAt = message.at;
    let attribute = message.takeAny();
    while (attribute.name !== "p") {
      proofAt = message.at;
      attribute = message.takeAny();
    }
    const proof = decodeBase64(attribute.value);
    if (proof?.length !== 32) return message.malformed("Malformed proof in client-final-message.");
    if (message.next !== "") {
      message.malformed("Garbage found at the end of client-final-message.");
    }
    if (nonce !== sent.nonce)
      message.fail("08P01", "invalid SCRAM response", "Nonce does not match.");
    const withoutProof = text.slice(0, proofAt - 1);
    return {
      kind: "final",
      proof,
      authMessage: `${sent.first.bare},${sent.message},${withoutProof}`,
    };
  });
}

/** Checks the proof. The time it takes does not depend on the outcome. */
export function checkClientProof(final: ScramClientFinal, verifier: ScramVerifier): ScramProof {
  const clientKey = xor(final.proof, hmac(verifier.storedKey, final.authMessage));
  const serverFinal = `v=${base64(hmac(verifier.serverKey, final.authMessage))}`;
  const proven = timingSafeEqual(sha256(clientKey), verifier.storedKey);
  return proven ? { kind: "proven", clientKey, serverFinal } : { kind: "wrong" };
}
