import { randomBytes } from "node:crypto";
import t from "tap";
import type { EmbeddedPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { dial } from "../../src/upstream/dial.ts";
import type { Credentials } from "../../src/upstream/dial.ts";
import { deriveScramKeys, formatScramVerifier } from "../../src/wire/postgres/scram.ts";
import { scramVerifierOf } from "../../src/wire/postgres/scram.ts";
import { serverCert, serverKey } from "../tls/certificates.ts";
import { ask, at, deps, describe, request, serverWith, session } from "./sessions.ts";

const PASSWORD = "pässwörd ½ 'quoted'";

/** How `pg_hba.conf` lets the user in, and how the server stores the password. */
const USERS = [
  { user: "by_trust", method: "trust", stored: "scram-sha-256" },
  { user: "by_password", method: "password", stored: "scram-sha-256" },
  { user: "by_password_md5", method: "password", stored: "md5" },
  { user: "by_md5", method: "md5", stored: "md5" },
  // The method md5 uses SCRAM for whoever has a verifier.
  { user: "by_md5_scram", method: "md5", stored: "scram-sha-256" },
  { user: "by_scram", method: "scram-sha-256", stored: "scram-sha-256" },
  // No proof of this user's can be right, and the server does not say why.
  { user: "by_scram_md5", method: "scram-sha-256", stored: "md5" },
  { user: "rejected", method: "reject", stored: "scram-sha-256" },
] as const;

/** One verifier for every server: what a replicated role looks like. */
const salt = randomBytes(16);
const keys = await deriveScramKeys(PASSWORD, salt, 4096);
const verifier = formatScramVerifier(scramVerifierOf(keys, salt, 4096));
const ownKeys: Credentials = { kind: "scram_keys", ...keys };

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const roles = [
  ...USERS.flatMap(({ user, stored }) => [
    `SET password_encryption = '${stored}'`,
    `CREATE ROLE ${user} LOGIN PASSWORD ${quoted(PASSWORD)}`,
  ]),
  `CREATE ROLE moved LOGIN PASSWORD ${quoted(verifier)}`,
].join(";");
const hba = USERS.map(({ user, method }) => `host all ${user} 127.0.0.1/32 ${method}`).join("\n");
const tls = { cert: serverCert, key: serverKey };

const servers: readonly EmbeddedPostgres[] = await Promise.all(
  ([14, 16, 18] as const).map((major) => serverWith({ major, hba, tls }, roles)),
);

/** Anything longer than the words is the beginning of a sentence. */
const LOGINS = [
  { user: "by_trust", password: undefined, outcome: "ready" },
  { user: "by_password", password: PASSWORD, outcome: "ready" },
  { user: "by_password_md5", password: PASSWORD, outcome: "ready" },
  { user: "by_md5", password: PASSWORD, outcome: "ready" },
  { user: "by_md5_scram", password: PASSWORD, outcome: "ready" },
  { user: "by_scram", password: PASSWORD, outcome: "ready" },
  { user: "moved", password: PASSWORD, outcome: "ready" },
  { user: "by_scram_md5", password: PASSWORD, outcome: "refused 28P01" },
  { user: "by_password", password: "wrong", outcome: "refused 28P01" },
  { user: "by_md5", password: "wrong", outcome: "refused 28P01" },
  { user: "by_scram", password: "wrong", outcome: "refused 28P01" },
  { user: "nobody_here", password: PASSWORD, outcome: "refused 28P01" },
  { user: "rejected", password: PASSWORD, outcome: "refused 28000" },
  { user: "by_password", password: undefined, outcome: "failed authentication_failed" },
  { user: "by_md5", password: undefined, outcome: "failed authentication_failed" },
  { user: "by_scram", password: undefined, outcome: "failed authentication_failed" },
];

for (const server of servers) {
  for (const mode of ["disable", "require"] as const) {
    for (const { user, password, outcome } of LOGINS) {
      const shown =
        password === undefined
          ? "no password"
          : password === "wrong"
            ? "a wrong password"
            : "the password";
      const how = mode === "require" ? "over TLS" : "without TLS";
      await t.test(
        `${user} with ${shown} ${how} on PostgreSQL ${server.major}: ${outcome}`,
        async (test) => {
          const wish = password === undefined ? { user } : { user, password };
          const result = await dial(request(at(server.port, { mode }), wish), deps);
          test.ok(describe(result).startsWith(outcome), describe(result));
          test.notMatch(describe(result), PASSWORD);
          if (result.kind !== "ready") return;
          test.equal(result.server.encrypted, mode === "require");
          test.match(await ask(result.server, "SELECT current_user"), user);
          result.server.socket.destroy();
        },
      );
    }
  }

  await t.test(`a client's own SCRAM keys log in to PostgreSQL ${server.major}`, async (test) => {
    for (const mode of ["disable", "require"] as const) {
      const channelBinding = mode === "require" ? "require" : "prefer";
      const address = at(server.port, { mode, channelBinding });
      const wish = request(address, { user: "moved" }, { credentials: ownKeys });
      test.match(await ask(await session(wish, test), "SELECT current_user"), "moved", mode);
    }
  });

  await t.test(
    `SCRAM keys cannot answer a password request of ${server.major}, and it is said`,
    async (test) => {
      for (const user of ["by_password", "by_md5"]) {
        const wish = request(at(server.port), { user }, { credentials: ownKeys });
        test.match(
          describe(await dial(wish, deps)),
          /failed authentication_failed: .*SCRAM keys cannot/,
        );
      }
      const other = request(at(server.port), { user: "by_scram" }, { credentials: ownKeys });
      test.equal(describe(await dial(other, deps)), "refused 28P01", "another verifier");
    },
  );

  await t.test(
    `the session of ${server.major} is handed over with all the server said`,
    async (test) => {
      const wish = request(at(server.port), { user: "by_scram", password: PASSWORD });
      const parameters = [
        ...wish.parameters,
        ["application_name", "näme"],
        ["TimeZone", "Asia/Tokyo"],
      ] as const;
      const server2 = await session({ ...wish, parameters }, test);
      test.equal(
        server2.parameters.get("application_name"),
        server.major === 14 ? "n??me" : "n\\xc3\\xa4me",
      );
      test.equal(server2.parameters.get("TimeZone"), "Asia/Tokyo");
      test.match(server2.parameters.get("server_version"), new RegExp(`^${server.major}\\.`));
      test.equal(server2.greeting[0], "S".charCodeAt(0));
      test.match(Buffer.from(server2.greeting).toString("latin1"), "server_version\0");
      test.notMatch(Buffer.from(server2.greeting).toString("latin1"), "K\0\0\0\f");
      test.equal(server2.secretKey.length, 4);
      test.equal(server2.leftover.length, 0);
      test.ok(server2.socket.isPaused());
      for (const event of ["data", "end", "close", "readable"]) {
        test.equal(
          server2.socket.listeners(event).filter((each) => each.name !== "onReadableStreamEnd")
            .length,
          0,
          event,
        );
      }
      test.match(await ask(server2, "SELECT pg_backend_pid()"), String(server2.processId));
    },
  );

  await t.test(`a refusal of ${server.major} is kept as the frame it came in`, async (test) => {
    const wish = { user: "by_scram", password: PASSWORD, database: "nowhere" };
    const outcome = await dial(request(at(server.port), wish), deps);
    test.equal(outcome.kind, "refused");
    if (outcome.kind !== "refused") return;
    test.equal(outcome.sqlstate, "3D000");
    const frame = Buffer.from(outcome.errorFrame);
    test.equal(frame.readUInt32BE(1) + 1, frame.length);
    test.match(
      frame.toString("latin1"),
      /^E....SFATAL\0VFATAL\0C3D000\0Mdatabase "nowhere" does not exist\0/s,
    );
  });
}

await t.test("a parameter the server does not know is its refusal, not ours", async (test) => {
  const [server] = servers;
  const wish = request(at(server?.port ?? 0), { user: "by_trust" });
  const parameters = [...wish.parameters, ["no_such_setting", "1"]] as const;
  test.equal(describe(await dial({ ...wish, parameters }, deps)), "refused 42704");
});

await t.test("protocol extensions the server does not know are negotiated away", async (test) => {
  for (const server of servers) {
    const wish = request(at(server.port), { user: "by_trust" });
    const parameters = [...wish.parameters, ["_pq_.unheard_of", "1"]] as const;
    test.equal(
      describe(await dial({ ...wish, parameters }, deps)),
      "ready plain",
      String(server.major),
    );
  }
});
