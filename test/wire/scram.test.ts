import t from "tap";
import fc from "fast-check";
import { saslPrep } from "../../src/wire/postgres/scram-saslprep.ts";
import {
  deriveScramKeys,
  formatScramVerifier,
  parseScramVerifier,
  scramVerifierOf,
} from "../../src/wire/postgres/scram.ts";
import {
  answerScram,
  checkServerFinal,
  readServerFirst,
  startScram,
} from "../../src/wire/postgres/scram-client.ts";
import type { ScramBinding } from "../../src/wire/postgres/scram-client.ts";
import {
  challengeClient,
  checkClientProof,
  readClientFinal,
  readClientFirst,
} from "../../src/wire/postgres/scram-server.ts";
import type { ScramClientFirst } from "../../src/wire/postgres/scram-server.ts";

const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
const certificateHash = Buffer.alloc(32, 7);

// RFC 7677 section 3, except that its client names the user.
void t.test("the example of RFC 7677 comes out to the letter", async (test) => {
  const keys = await deriveScramKeys("pencil", salt, 4096);
  const bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
  const start = { ...startScram("rOprNGfwEbeRWgbNEkqO", { kind: "none" }), bare };
  const serverFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
  const challenge = readServerFirst(start, serverFirst);
  if (challenge.kind !== "challenge") throw new Error(challenge.reason);
  const answer = answerScram(challenge, keys);
  test.equal(
    answer.message,
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  );
  const final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
  test.equal(checkServerFinal(answer.serverSignature, final).kind, "ok");

  const first = readClientFirst(`n,,${bare}`, {
    mechanism: "SCRAM-SHA-256",
    certificateHash: undefined,
  });
  if (first.kind !== "first") throw new Error(first.message);
  const verifier = scramVerifierOf(keys, salt, 4096);
  const sent = challengeClient(first, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", verifier);
  test.equal(sent.message, serverFirst);
  const read = readClientFinal(answer.message, sent);
  if (read.kind !== "final") throw new Error(read.message);
  const proof = checkClientProof(read, verifier);
  if (proof.kind !== "proven") throw new Error("the right password was refused");
  test.equal(proof.serverFinal, final);
  test.same(
    Buffer.from(proof.clientKey),
    Buffer.from(keys.clientKey),
    "the client's own key is recovered",
  );
});

void t.test("a verifier is read back as it was written, and nothing else is one", async (test) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      (iterations, someSalt, storedKey, serverKey) => {
        const text = formatScramVerifier({ iterations, salt: someSalt, storedKey, serverKey });
        const read = parseScramVerifier(text);
        return read !== undefined && formatScramVerifier(read) === text;
      },
    ),
  );
  const key = Buffer.alloc(32, 1).toString("base64");
  const short = Buffer.alloc(31, 1).toString("base64");
  for (const text of [
    "",
    "md5a3556571e93b0d20722ba62be61e8c2d",
    `SCRAM-SHA-256$0:AAAA$${key}:${key}`, // no iterations
    `SCRAM-SHA-256$4096:AAAA$${short}:${key}`, // a key cut short
    `SCRAM-SHA-256$4096:AAAA$${key}`,
    `SCRAM-SHA-256$4096:$${key}:${key}`, // no salt
    `SCRAM-SHA-256$4096:AA*A$${key}:${key}`,
    `SCRAM-SHA-256$99999999999:AAAA$${key}:${key}`,
    ` SCRAM-SHA-256$4096:AAAA$${key}:${key}`,
  ]) {
    test.equal(parseScramVerifier(text), undefined, text);
  }
});

void t.test(
  "SASLprep changes what PostgreSQL changes and leaves the rest as bytes",
  async (test) => {
    const rows: readonly [why: string, password: string, prepared: string][] = [
      ["ASCII stays", "p\u0007ss word", "p\u0007ss word"],
      ["a soft hyphen vanishes", "I\u00adXé", "IXé"],
      ["a no-break space becomes a space", "a\u00a0b", "a b"],
      ["compatibility forms are resolved", "\u2168", "IX"],
      ["composed and decomposed are the same", "e\u0301", "\u00e9"],
      ["nothing left: the bytes count", "\u00ad", "\u00ad"],
      ["a control character among others", "é\u0007\u2168", "é\u0007\u2168"],
      ["not assigned in Unicode 3.2", "\u{1f600}\u2168", "\u{1f600}\u2168"],
      ["right to left only", "\u0627\u0628\u2060", "\u0627\u0628"],
      ["mixed directions", "\u0627a\u0628\u2060", "\u0627a\u0628\u2060"],
      ["right to left not up to the end", "\u06271\u2060", "\u06271\u2060"],
    ];
    for (const [why, password, prepared] of rows) {
      test.equal(Buffer.from(saslPrep(password)).toString("utf8"), prepared, why);
    }
    const notUtf8 = Uint8Array.of(0xff, 0xe2);
    test.same(Buffer.from(saslPrep(notUtf8)), Buffer.from(notUtf8), "bytes that are no UTF-8");
  },
);

const bindings: readonly [why: string, binding: ScramBinding, mechanism: string, tls: boolean][] = [
  ["without TLS", { kind: "none" }, "SCRAM-SHA-256", false],
  ["a client that cannot bind, over TLS", { kind: "none" }, "SCRAM-SHA-256", true],
  ["a client that could, without TLS", { kind: "not_offered" }, "SCRAM-SHA-256", false],
  ["bound", { kind: "tls-server-end-point", certificateHash }, "SCRAM-SHA-256-PLUS", true],
];

void t.test("both ends of ours agree, and on the right password only", async (test) => {
  const keys = await deriveScramKeys("secret", salt, 1);
  const other = await deriveScramKeys("Secret", salt, 1);
  const verifier = scramVerifierOf(keys, salt, 1);
  for (const [why, binding, mechanism, tls] of bindings) {
    for (const [password, used] of [
      ["right", keys],
      ["wrong", other],
    ] as const) {
      const start = startScram("clientNonce", binding);
      const offer = { mechanism, certificateHash: tls ? certificateHash : undefined };
      const first = readClientFirst(start.message, offer);
      if (first.kind !== "first") throw new Error(first.message);
      const sent = challengeClient(first, "serverNonce", verifier);
      const challenge = readServerFirst(start, sent.message);
      if (challenge.kind !== "challenge") throw new Error(challenge.reason);
      const answer = answerScram(challenge, used);
      const final = readClientFinal(answer.message, sent);
      if (final.kind !== "final") throw new Error(final.message);
      const proof = checkClientProof(final, verifier);
      test.equal(
        proof.kind,
        password === "right" ? "proven" : "wrong",
        `${why}, ${password} password`,
      );
      if (proof.kind === "proven") {
        test.equal(checkServerFinal(answer.serverSignature, proof.serverFinal).kind, "ok", why);
        test.equal(checkServerFinal(answer.serverSignature, "v=AAAA").kind, "invalid");
      }
    }
  }
});

void t.test("a client-first-message that is wrong gets PostgreSQL's error", async (test) => {
  const plain = { mechanism: "SCRAM-SHA-256", certificateHash: undefined };
  const tls = { mechanism: "SCRAM-SHA-256", certificateHash };
  const plus = { mechanism: "SCRAM-SHA-256-PLUS", certificateHash };
  for (const [message, offer, sqlstate, text] of [
    ["", plain, "08P01", "malformed SCRAM message"],
    ["n,,n=,r=a\0b", plain, "08P01", "malformed SCRAM message"],
    ["x,,n=,r=abc", plain, "08P01", "malformed SCRAM message"],
    [
      "n,a=me,n=,r=abc",
      plain,
      "0A000",
      "client uses authorization identity, but it is not supported",
    ],
    ["n,,m=1,n=,r=abc", plain, "0A000", "client requires an unsupported SCRAM extension"],
    ["n,,r=abc", plain, "08P01", "malformed SCRAM message"],
    ["n,,n=,r=a\u0007c", plain, "08P01", "non-printable characters in SCRAM nonce"],
    ["n,,n=,r=abc,1=2", plain, "08P01", "malformed SCRAM message"],
    ["p=tls-server-end-point,,n=,r=abc", tls, "08P01", "malformed SCRAM message"],
    ["n,,n=,r=abc", plus, "08P01", "malformed SCRAM message"],
    ["y,,n=,r=abc", plus, "08P01", "malformed SCRAM message"],
    [
      "p=tls-unique,,n=,r=abc",
      plus,
      "08P01",
      'unsupported SCRAM channel-binding type "tls-unique"',
    ],
    // Somebody in between took PLUS off the list.
    ["y,,n=,r=abc", tls, "28000", "SCRAM channel binding negotiation error"],
  ] as const) {
    const read = readClientFirst(message, offer);
    if (read.kind === "first") test.fail(`accepted ${message}`);
    else test.same([read.sqlstate, read.message], [sqlstate, text], JSON.stringify(message));
  }
  test.equal(readClientFirst("n,,n=x,r=abc,x=1,y=", plain).kind, "first", "extensions are ignored");
});

void t.test("a client-final-message that is wrong gets PostgreSQL's error", async (test) => {
  const proof = Buffer.alloc(32).toString("base64");
  const first = (plus: boolean): ScramClientFirst =>
    readClientFirst(plus ? "p=tls-server-end-point,,n=,r=abc" : "n,,n=,r=abc", {
      mechanism: plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256",
      certificateHash: plus ? certificateHash : undefined,
    }) as ScramClientFirst;
  const plain = challengeClient(first(false), "def", { salt, iterations: 4096 });
  const plus = challengeClient(first(true), "def", { salt, iterations: 4096 });
  for (const [message, sent, sqlstate, text] of [
    ["", plain, "08P01", "malformed SCRAM message"],
    [`c=biws,r=abcdef,p=${proof.slice(4)}`, plain, "08P01", "malformed SCRAM message"],
    [`c=biws,r=abcdef,p=${proof},x=1`, plain, "08P01", "malformed SCRAM message"],
    [`c=biws,p=${proof}`, plain, "08P01", "malformed SCRAM message"],
    [`c=biws,r=abcdeg,p=${proof}`, plain, "08P01", "invalid SCRAM response"],
    [
      `c=eSws,r=abcdef,p=${proof}`,
      plain,
      "08P01",
      "unexpected SCRAM channel-binding attribute in client-final-message",
    ],
    // A proof made for another certificate: somebody relays the login.
    [`c=cD10bHM=,r=abcdef,p=${proof}`, plus, "28000", "SCRAM channel binding check failed"],
  ] as const) {
    const read = readClientFinal(message, sent);
    if (read.kind === "final") test.fail(`accepted ${message}`);
    else test.same([read.sqlstate, read.message], [sqlstate, text], JSON.stringify(message));
  }
});

void t.test("a server that breaks the exchange is refused by the client", async (test) => {
  const start = startScram("abc", { kind: "none" });
  for (const [why, message] of [
    ["no answer to our nonce", "r=xyz,s=AAAA,i=4096"],
    ["our nonce and nothing added", "r=abc,s=AAAA,i=4096"],
    ["no salt", "r=abcdef,s=,i=4096"],
    ["salt is no base64", "r=abcdef,s=*,i=4096"],
    ["no iterations", "r=abcdef,s=AAAA,i=0"],
    ["years of iterations", "r=abcdef,s=AAAA,i=2147483647"],
    ["a mandatory extension", "m=x,r=abcdef,s=AAAA,i=4096"],
    ["nothing", ""],
  ] as const) {
    test.equal(readServerFirst(start, message).kind, "invalid", why);
  }
  test.equal(checkServerFinal(Buffer.alloc(32), "e=invalid-proof").kind, "invalid");
  test.equal(checkServerFinal(Buffer.alloc(32), "").kind, "invalid");
});

void t.test("no bytes from the other end make a reader throw", async () => {
  const offer = { mechanism: "SCRAM-SHA-256", certificateHash: undefined };
  const first = readClientFirst("n,,n=,r=abc", offer) as ScramClientFirst;
  const sent = challengeClient(first, "def", { salt, iterations: 4096 });
  const latin1 = fc
    .uint8Array({ maxLength: 80 })
    .map((bytes) => Buffer.from(bytes).toString("latin1"));
  const pieces = fc.array(fc.constantFrom("n", "r=", "c=", "p=", ",", "abc", "biws", "=", "\0"));
  fc.assert(
    fc.property(
      fc.oneof(
        latin1,
        pieces.map((some) => some.join("")),
      ),
      (message) => {
        readClientFirst(message, offer);
        readClientFinal(message, sent);
        readServerFirst(startScram("abc", { kind: "none" }), message);
        checkServerFinal(Buffer.alloc(32), message);
        parseScramVerifier(message);
      },
    ),
    { numRuns: 2000 },
  );
});
