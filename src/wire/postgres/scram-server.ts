import { timingSafeEqual } from "node:crypto";
import { SCRAM_SHA_256_PLUS, base64, decodeBase64, hmac, sha256, xor } from "./scram.ts";
import type { ScramVerifier } from "./scram.ts";

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

/** A message that ends the login with PostgreSQL's own error. */
export type ScramFault = {
  readonly kind: "fault";
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string;
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
export function readClientFirst(message: string, offer: ScramOffer): ScramClientFirst | ScramFault {
  if (message.length === 0) return malformed("The message is empty.");
  if (message.includes("\0")) return malformed("Message length does not match input length.");
  const plus = offer.mechanism === SCRAM_SHA_256_PLUS;
  const header = /^(?:[ny]|p=([^,]*)),([^,]*),/.exec(message);
  if (!header) return malformed("The channel binding flag is malformed.");
  const fault = bindingFault(message.charAt(0), header[1], plus, offer);
  if (fault) return fault;
  if (header[2]?.startsWith("a")) {
    return unsupported("client uses authorization identity, but it is not supported");
  }
  if (header[2] !== "") return malformed("Unexpected attribute in client-first-message.");
  const bare = message.slice(header[0].length);
  if (bare.startsWith("m")) return unsupported("client requires an unsupported SCRAM extension");
  const attributes = /^n=[^,]*,r=([^,]*)((?:,[A-Za-z]=[^,]*)*)$/.exec(bare);
  if (!attributes) return malformed("Attribute expected in client-first-message.");
  const nonce = attributes[1] ?? "";
  if (!/^[\x21-\x7e]*$/.test(nonce)) {
    return protocolFault("non-printable characters in SCRAM nonce");
  }
  const data = plus && offer.certificateHash ? offer.certificateHash : Buffer.alloc(0);
  const bound = base64(Buffer.concat([Buffer.from(header[0], "latin1"), data]));
  return { kind: "first", bare, nonce, bound, plus };
}

function bindingFault(
  flag: string,
  bindingName: string | undefined,
  plus: boolean,
  offer: ScramOffer,
): ScramFault | undefined {
  if (flag === "p") {
    if (!plus) {
      return malformed(
        "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
      );
    }
    if (bindingName === "tls-server-end-point") return undefined;
    return protocolFault("unsupported SCRAM channel-binding type");
  }
  if (plus) {
    return malformed(
      "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
    );
  }
  // Somebody in between may have taken the stronger mechanism off the list.
  if (flag === "y" && offer.certificateHash) {
    return {
      kind: "fault",
      sqlstate: "28000",
      message: "SCRAM channel binding negotiation error",
      detail:
        "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.",
    };
  }
  return undefined;
}

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
export function readClientFinal(message: string, sent: ScramSent): ScramClientFinal | ScramFault {
  if (message.length === 0) return malformed("The message is empty.");
  if (message.includes("\0")) return malformed("Message length does not match input length.");
  const found = /^(c=([^,]*),r=([^,]*)(?:,[A-Za-oq-z]=[^,]*)*),p=([^,]*)(.*)$/s.exec(message);
  if (!found) return malformed("Attribute expected in client-final-message.");
  const [, withoutProof = "", bound, nonce, proofText = "", rest] = found;
  if (bound !== sent.first.bound) {
    return sent.first.plus
      ? { kind: "fault", sqlstate: "28000", message: "SCRAM channel binding check failed" }
      : protocolFault("unexpected SCRAM channel-binding attribute in client-final-message");
  }
  const proof = decodeBase64(proofText);
  if (proof?.length !== 32) return malformed("Malformed proof in client-final-message.");
  if (rest !== "") return malformed("Garbage found at the end of client-final-message.");
  if (nonce !== sent.nonce) {
    return { ...protocolFault("invalid SCRAM response"), detail: "Nonce does not match." };
  }
  const authMessage = `${sent.first.bare},${sent.message},${withoutProof}`;
  return { kind: "final", proof, authMessage };
}

/** Checks the proof. The time it takes does not depend on the outcome. */
export function checkClientProof(final: ScramClientFinal, verifier: ScramVerifier): ScramProof {
  const clientKey = xor(final.proof, hmac(verifier.storedKey, final.authMessage));
  const serverFinal = `v=${base64(hmac(verifier.serverKey, final.authMessage))}`;
  const proven = timingSafeEqual(sha256(clientKey), verifier.storedKey);
  return proven ? { kind: "proven", clientKey, serverFinal } : { kind: "wrong" };
}

function malformed(detail: string): ScramFault {
  return { ...protocolFault("malformed SCRAM message"), detail };
}

function protocolFault(message: string): ScramFault {
  return { kind: "fault", sqlstate: "08P01", message };
}

function unsupported(message: string): ScramFault {
  return { kind: "fault", sqlstate: "0A000", message };
}
