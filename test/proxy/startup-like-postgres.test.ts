import { once } from "node:events";
import { connect } from "node:net";
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import pg from "pg";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { openClientTls } from "../../src/proxy/startup/client-tls.ts";
import { dial } from "../../src/upstream/dial.ts";
import type { Credentials, DialOutcome } from "../../src/upstream/dial.ts";
import { message } from "../../src/wire/postgres/backend-messages.ts";
import { errorFields } from "../../src/wire/postgres/error-response.ts";
import {
  deriveScramKeys,
  formatScramVerifier,
  parseScramVerifier,
  scramVerifierOf,
} from "../../src/wire/postgres/scram.ts";
import { encodeStartup } from "../../src/wire/postgres/startup.ts";
import { authorityCert, serverCert, serverKey } from "../tls/certificates.ts";
import { converse, startListener } from "./startup-listener.ts";

const tlsPem = { cert: serverCert, key: serverKey };
const [pg16, pg18] = await Promise.all([
  startPostgres({ major: 16, tls: tlsPem }),
  startPostgres({ major: 18, tls: tlsPem }),
]);
t.teardown(() => Promise.all([pg16.stop(), pg18.stop()]));

const ours = await startListener(
  { postgres: { kind: "password", password: "secret" } },
  { tls: openClientTls(tlsPem) },
);
t.teardown(() => ours.stop());

async function onServer<T>(
  server: EmbeddedPostgres,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client(server.url());
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function dialAs(
  port: number,
  name: string,
  credentials: Credentials,
  mode: "disable" | "verify-ca",
): Promise<DialOutcome> {
  const outcome = await dial(
    {
      address: {
        host: "127.0.0.1",
        port,
        tls: {
          mode,
          rootCert: authorityCert,
          cert: undefined,
          key: undefined,
          channelBinding: mode === "disable" ? "disable" : "require",
        },
      },
      parameters: [
        ["user", name],
        ["database", "postgres"],
      ],
      credentials,
      timeoutMs: 10_000,
    },
    { random: randomBytes },
  );
  if (outcome.kind === "ready") outcome.server.socket.destroy();
  return outcome;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const startup = (minor: number, ...parameters: [string, string][]): Buffer =>
  encodeStartup({ type: "startup", minor, parameters });
const user = ["user", "postgres"] as [string, string];
const gssencRequest = encodeStartup({ type: "gssenc_request" });
const sasl = (mechanism: string, data: string): Buffer => {
  const size = Buffer.alloc(4);
  size.writeInt32BE(data.length);
  return message("p", Buffer.from(`${mechanism}\0`), size, Buffer.from(data, "latin1"));
};
const answer = (data: string): Buffer => message("p", Buffer.from(data, "latin1"));
const ok = sasl("SCRAM-SHA-256", "n,,n=,r=abc");
const proof = Buffer.alloc(32).toString("base64");

/** What a client may send without TLS, from the first byte on. */
const conversations: readonly [why: string, ...sent: Buffer[]][] = [
  ["a version to come", startup(9999, user)],
  [
    "a version to come with options of the protocol",
    startup(9999, user, ["_pq_.a", "1"], ["_pq_.b", ""]),
  ],
  ["an option of the protocol", startup(0, user, ["_pq_.command_tag", "1"])],
  ["the version that was never used", startup(1, user)],
  ["GSSAPI, then a startup", gssencRequest, startup(0, user)],
  ["GSSAPI twice", gssencRequest, gssencRequest],
  ["protocol 2.0", hex("00000008 00020000")],
  ["protocol 4.0", hex("00000008 00040000")],
  ["a request that nobody knows", hex("00000008 04d20005")],
  ["no user", startup(0, ["database", "postgres"])],
  ["an empty user", startup(0, ["user", ""])],
  ["no user, and a version to come", startup(3, ["database", "x"])],
  ["no parameters at all", hex("00000008 00030000")],
  ["a name without a value", hex("0000000d 00030000 7573657200")],
  ["something after the end", Buffer.concat([hex("0000000c 00030000 0000 0000")])],
  ["a replication that is none", startup(0, user, ["replication", "maybe"])],
  ["not an answer", startup(0, user), message("Q", Buffer.from("select 1\0"))],
  ["another mechanism", startup(0, user), sasl("PLAIN", "x")],
  [
    "channel binding without TLS",
    startup(0, user),
    sasl("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=a"),
  ],
  ["a mechanism without an end", startup(0, user), message("p", Buffer.from("SCRAM"))],
  ["a mechanism and no length", startup(0, user), message("p", Buffer.from("SCRAM-SHA-256\0a"))],
  [
    "data longer than said",
    startup(0, user),
    message("p", Buffer.from("SCRAM-SHA-256\0\0\0\0\u0001ab")),
  ],
  [
    "data shorter than said",
    startup(0, user),
    message("p", Buffer.from("SCRAM-SHA-256\0\0\0\0\u0009ab")),
  ],
  [
    "no data yet",
    startup(0, user),
    message("p", Buffer.from("SCRAM-SHA-256\0\xff\xff\xff\xff", "latin1")),
    answer("x"),
  ],
  ["empty data", startup(0, user), sasl("SCRAM-SHA-256", "")],
  ["data with a zero byte", startup(0, user), sasl("SCRAM-SHA-256", "n,,n=,\0r=a")],
  ["data beyond reason", startup(0, user), sasl("SCRAM-SHA-256", `n,,n=,r=${"a".repeat(1100)}`)],
  ["an authorization identity", startup(0, user), sasl("SCRAM-SHA-256", "n,a=x,n=,r=abc")],
  ["a mandatory extension", startup(0, user), sasl("SCRAM-SHA-256", "n,,m=1,n=,r=abc")],
  [
    "binding in the data only",
    startup(0, user),
    sasl("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abc"),
  ],
  ["a nonce that cannot be printed", startup(0, user), sasl("SCRAM-SHA-256", "n,,n=,r=a\u0001")],
  ["a proof too short", startup(0, user), ok, answer("c=biws,r=abc,p=AAAA")],
  ["another nonce", startup(0, user), ok, answer(`c=biws,r=abc,p=${proof}`)],
  ["another header", startup(0, user), ok, answer(`c=eSws,r=abc,p=${proof}`)],
  ["a nobody", startup(0, ["user", "nobody"]), sasl("SCRAM-SHA-256", "n,,n=,r=abc"), answer("x")],
];

/** An answer with what differs by chance taken out: nonce and salt, and where in its source an error is from. */
function essence(bytes: Buffer): unknown[] {
  const seen: unknown[] = [];
  let at = 0;
  while (
    at < bytes.length &&
    /[NSG]/.test(bytes.toString("latin1", at, at + 1)) &&
    seen.length === at
  ) {
    seen.push(bytes.toString("latin1", at, at + 1));
    at++;
  }
  while (at < bytes.length) {
    const end = bytes.length - at < 5 ? bytes.length : at + 1 + bytes.readInt32BE(at + 1);
    const type = bytes.toString("latin1", at, at + 1);
    const frame = bytes.subarray(at, Math.min(end, bytes.length));
    if (type === "E" && end <= bytes.length) {
      const fields = [...errorFields(frame)].filter(([letter]) => !"FLR".includes(letter));
      seen.push(fields);
    } else seen.push(frame.toString("latin1").replace(/r=abc.*/s, "r=abc…"));
    at += frame.length;
  }
  return seen;
}

/** The server has said its part: it asks for an answer, declines encryption, or ends with an error. */
function turnOver(said: Buffer): boolean {
  let at = 0;
  while (at < said.length && "NS".includes(said.toString("latin1", at, at + 1))) at++;
  let last = "N";
  while (said.length - at >= 5) {
    last = said.toString("latin1", at, at + 1);
    at += 1 + said.readInt32BE(at + 1);
  }
  return at === said.length && last !== "v";
}

/** Sends each message when the server waits for it. */
async function politely(port: number, sent: readonly Buffer[]): Promise<Buffer> {
  const socket = connect(port, "127.0.0.1");
  let said = Buffer.alloc(0);
  let over = false;
  let wake = (): void => {};
  socket.on("data", (bytes: Buffer) => {
    said = Buffer.concat([said, bytes]);
    wake();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    over = true;
    wake();
  });
  await once(socket, "connect");
  for (const piece of sent) {
    const before = said.length;
    socket.write(piece);
    while ((said.length === before || !turnOver(said)) && !over) {
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  socket.destroy();
  return said;
}

void t.test("a startup is answered as PostgreSQL 18 answers it", async (test) => {
  for (const [why, ...sent] of conversations) {
    const [its, own] = await Promise.all([politely(pg18.port, sent), politely(ours.port, sent)]);
    test.same(essence(own), essence(its), why);
  }
  // Its answer is a letter and then an error: both are read up to the end of the connection.
  const hasty = Buffer.concat([gssencRequest, startup(0, user)]);
  const [its, own] = await Promise.all([
    converse(pg18.port, [hasty]),
    converse(ours.port, [hasty]),
  ]);
  test.same(essence(own), essence(its), "GSSAPI, and more sent on its heels");
});

void t.test("a refused password is PostgreSQL 16's own error, for anybody", async (test) => {
  const refusal = async (port: number, name: string, mode: "disable" | "verify-ca") => {
    const outcome = await dialAs(port, name, { kind: "password", password: "guess" }, mode);
    if (outcome.kind !== "refused") throw new Error(outcome.kind);
    // L is the line in PostgreSQL's source, another in every release.
    return [...errorFields(outcome.errorFrame)].filter(([letter]) => letter !== "L");
  };
  for (const mode of ["disable", "verify-ca"] as const) {
    for (const name of ["postgres", "nobody", 'quoted "name"', "n\u00e9"]) {
      const its = await refusal(pg16.port, name, mode);
      test.same(await refusal(ours.port, name, mode), its, `${name}, sslmode ${mode}`);
    }
  }
});

void t.test("a user that does not exist gets the same salt each time", async (test) => {
  const challenge = async (name: string): Promise<string> => {
    const said = await politely(ours.port, [startup(0, ["user", name]), ok]);
    return /s=([^,]+),i=\d+/.exec(said.toString("latin1"))?.[0] ?? "";
  };
  const [first, again, other, known] = [
    await challenge("nobody"),
    await challenge("nobody"),
    await challenge("nobody else"),
    await challenge("postgres"),
  ];
  test.match(first, /^s=[A-Za-z0-9+/]{22}==,i=4096$/, "looking like those of PostgreSQL");
  test.match(known, /^s=[A-Za-z0-9+/]{22}==,i=4096$/);
  test.equal(again, first);
  test.not(other, first);
});

void t.test("the keys a client has shown log in to both servers", async (test) => {
  const salt = randomBytes(16);
  const verifier = formatScramVerifier(
    scramVerifierOf(await deriveScramKeys("secret", salt, 5000), salt, 5000),
  );
  for (const server of [pg16, pg18]) {
    await onServer(server, (client) =>
      client.query(`create role app login password '${verifier}'`),
    );
  }
  const listener = await startListener(
    { app: { kind: "verifier", verifier } },
    { tls: openClientTls(tlsPem) },
  );
  test.teardown(() => listener.stop());
  for (const mode of ["disable", "verify-ca"] as const) {
    const password = { kind: "password", password: "secret" } as const;
    test.equal((await dialAs(listener.port, "app", password, mode)).kind, "ready");
    const outcome = listener.outcomes.at(-1);
    if (outcome?.kind !== "client") throw new Error(outcome?.kind);
    for (const server of [pg16, pg18]) {
      const there = await dialAs(server.port, "app", outcome.credentials, mode);
      test.equal(there.kind, "ready", `PostgreSQL ${server.major}, sslmode ${mode}`);
    }
  }
});

void t.test("passwords of any letters are hashed as PostgreSQL hashes them", async (test) => {
  // Letters that SASLprep treats in different ways, and such that come after its Unicode 3.2.
  const letters = fc.constantFrom(
    ...Array.from(
      "aZ 0'\\\u0007\u00a0\u00ad\u00aa\u00e9e\u0301\u200b\u2460\u2168\ufb01\uff21\u0627\u05d0\u0660\u4e00\uac00\u{1f600}\u{1d400}\u0221\ue000\u2028\ufeff\u2060\u0340",
    ),
  );
  const agrees = async (client: pg.Client, password: string): Promise<boolean> => {
    await client.query(`alter role odd password ${pg.escapeLiteral(password)}`);
    const { rows } = await client.query<{ rolpassword: string }>(
      "select rolpassword from pg_catalog.pg_authid where rolname = 'odd'",
    );
    const stored = parseScramVerifier(rows[0]?.rolpassword ?? "");
    if (!stored) return false;
    const keys = await deriveScramKeys(password, stored.salt, stored.iterations);
    const own = scramVerifierOf(keys, stored.salt, stored.iterations);
    return formatScramVerifier(own) === rows[0]?.rolpassword;
  };
  for (const server of [pg16, pg18]) {
    await onServer(server, async (client) => {
      await client.query("create role odd");
      const passwords = fc
        .array(letters, { minLength: 1, maxLength: 6 })
        .map((some) => some.join(""));
      await fc.assert(
        fc.asyncProperty(passwords, (password) => agrees(client, password)),
        { numRuns: 60 },
      );
    });
    test.pass(`PostgreSQL ${server.major}`);
  }
});
