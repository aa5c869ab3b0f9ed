import fc from "fast-check";
import tap from "tap";
import { stringify } from "yaml";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { redact } from "../../src/config/redact.ts";
import { reloadDiff } from "../../src/config/reload.ts";
import { serverCert, serverKey } from "../tls/certificates.ts";

const FULL = `
migrations:
  - name: orders
    listen: { address: "127.0.0.1:6432", tls: { cert: cert.pem, key: key.pem } }
    old:
      url: "postgres://app:\${A}@old/orders?sslmode=verify-ca&sslrootcert=cert.pem&sslcert=cert.pem&sslkey=key.pem"
      admin: "postgres://twinwire:\${B}@old:6000/orders"
    new:
      url: "postgres://app:\${A}@[::1]/orders?sslmode=require&channel_binding=require"
      admin: "postgres://twinwire:\${B}@[::1]/orders"
    users:
      - { name: app, password: "\${C}" }
      - { name: batch, verifier: "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$${"A".repeat(43)}=:${"B".repeat(43)}=" }
    compare:
      rules:
        - { name: a, match: { column: c }, ignore: true }
        - { name: b, tolerate: { relative: 0.1 } }
        - { name: c, clean: [trim] }
        - { name: d, sample: 0.5 }
    replication:
      managed: true
      tables: ["public.*", "!public.\\"Audit.log\\""]
      mapping:
        - { schema: public, to: app }
        - table: 'public."Users"'
          to: app.customers
          columns: { email: address, note: null }
          constants: { tenant: "7" }
          convert: { active: boolean_to_integer }
          where: { column: region, in: [eu, null] }
      copy: { parallel: 4, chunk: 8MiB, max_rate: 64MiB }
      ddl: additive
      ack_margin: 60s
      spool: { path: /var/spool/twinwire }
admin: { address: "[::1]:9432", token: "\${D}" }
`;

function load(secret: string): Promise<Config> {
  const encoded = encodeURIComponent(secret);
  const environment = { A: encoded, B: encoded, C: secret, D: secret.padEnd(16, "x") };
  return loadConfig("/t.yaml", environment, async (name) => {
    if (name === "/t.yaml") return FULL;
    return name.endsWith("key.pem") ? serverKey : serverCert;
  });
}

void tap.test("what is shown of a configuration holds none of its secrets", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.stringMatching(/^[!-~]{12,40}$/), async (secret) => {
      const shown = stringify(redact(await load(secret)));
      return ![secret, encodeURIComponent(secret), "PRIVATE KEY", "BEGIN", "AAAA", "BBBB"].some(
        (part) => shown.includes(part),
      );
    }),
    { numRuns: 40 },
  );
  t.pass("whatever the secret");
});

void tap.test(
  "what is shown is a configuration again, once the secrets are put back",
  async (t) => {
    const before = await load("a-secret-of-some-length");
    const text = stringify(redact(before))
      .replaceAll("(certificate)", "cert.pem")
      .replaceAll("sslkey=(hidden)", "sslkey=key.pem")
      .replaceAll("key: (hidden)", "key: key.pem")
      .replaceAll(
        "verifier: (hidden)",
        `verifier: SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$${"A".repeat(43)}=:${"B".repeat(43)}=`,
      )
      .replaceAll("(hidden)", "a-secret-of-some-length");
    const after = await loadConfig("/t.yaml", {}, async (name) => {
      if (name === "/t.yaml") return text;
      return name.endsWith("key.pem") ? serverKey : serverCert;
    });
    t.strictSame(after, before);
  },
);

type Change = (config: Config) => Config;
const migration =
  (change: (migration: Config["migrations"][number]) => object): Change =>
  (config) => ({
    ...config,
    migrations: config.migrations.map((entry) => ({ ...entry, ...change(entry) })),
  });

const CHANGES: readonly { change: Change; live: string[]; needsRestart: string[] }[] = [
  { change: (config) => config, live: [], needsRestart: [] },
  {
    change: (config) => ({ ...config, log: { level: "debug" } }),
    live: ["log.level"],
    needsRestart: [],
  },
  {
    change: (config) => ({ ...config, admin: { ...config.admin, token: "another-token-of-mine" } }),
    live: [],
    needsRestart: ["admin"],
  },
  {
    change: migration(({ shadow }) => ({
      shadow: { ...shadow, enabled: false, sample: 0.1, timeoutMs: 1, writes: "apply" },
    })),
    live: ["shadow.enabled", "shadow.sample", "shadow.timeout"].map(
      (name) => `migrations[orders].${name}`,
    ),
    needsRestart: ["migrations[orders].shadow.writes"],
  },
  {
    change: migration(({ auth, compare, cutover }) => ({
      auth: { ...auth, users: [] },
      compare: { ...compare, rules: [], keepBytes: 1 },
      cutover: { maxPauseMs: 1, guards: { ...cutover.guards, minCompared: 0.5 } },
    })),
    live: ["users", "compare.rules", "cutover.max_pause", "cutover.guards"].map(
      (name) => `migrations[orders].${name}`,
    ),
    needsRestart: ["migrations[orders].compare.keep"],
  },
  {
    change: migration(({ listen }) => ({ listen: { ...listen, port: 1 } })),
    live: [],
    needsRestart: ["migrations[orders].listen"],
  },
  {
    change: migration(({ replication }) => ({
      replication: { ...replication, ddl: "stop", walBudgetBytes: 1, ackMarginMs: 1 },
    })),
    live: [],
    needsRestart: ["migrations[orders].replication"],
  },
  {
    change: migration(() => ({ name: "billing" })),
    live: [],
    needsRestart: ["migrations[orders]", "migrations[billing]"],
  },
];

void tap.test("a reload says what takes effect and what needs a restart", async (t) => {
  const before = await load("a-secret-of-some-length");
  for (const { change, live, needsRestart } of CHANGES) {
    t.strictSame(reloadDiff(before, change(before)), { live, needsRestart });
  }
});
