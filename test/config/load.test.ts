import { readFile } from "node:fs/promises";
import fc from "fast-check";
import tap from "tap";
import { CodedError } from "../../src/base/errors.ts";
import type { Config } from "../../src/config/config.ts";
import { loadConfig, loadConfigWithWarnings } from "../../src/config/load.ts";
import type { LoadedConfig } from "../../src/config/load.ts";
import { elsewhereKey, serverCert, serverKey } from "../tls/certificates.ts";
import { MISTAKES, SOUND } from "./mistakes.ts";

const FILES: Readonly<Record<string, string>> = {
  "/etc/twinwire/cert.pem": serverCert,
  "/etc/twinwire/key.pem": serverKey,
  "/etc/twinwire/other-key.pem": elsewhereKey,
  "/etc/twinwire/secret.txt": "hunter2\n",
  "/run/secrets/app": "hunter2\r\n",
};

async function fake(path: string): Promise<string> {
  const text = FILES[path];
  if (text === undefined) throw Object.assign(new Error("gone"), { code: "ENOENT" });
  return text;
}

/** What a hand that slips leaves in YAML. */
const PIECES = fc.constantFrom(..."abz019 \n\t:,-{}[]\"'#&*!|>%@$?~\u0000é".split(""));

function loading(lines: readonly string[], more = ""): Promise<LoadedConfig> {
  const path = "/etc/twinwire/t.yaml";
  const text = [...lines, more, ""].join("\n");
  const environment = {
    SECRET: "hunter2",
    SIZE: "64KiB",
    PORT: "6499",
    SHARE: "0.25",
    ON: "false",
  };
  return loadConfigWithWarnings(path, environment, async (name) =>
    name === path ? text : fake(name),
  );
}

async function migrationOf(more: string): Promise<Config["migrations"][number]> {
  const { config } = await loading(SOUND, more);
  const [migration] = config.migrations;
  if (migration === undefined) throw new Error("no migration");
  return migration;
}

void tap.test("every mistake is named with its place and its cure", async (t) => {
  for (const mistake of MISTAKES) {
    const lines = SOUND.map((line, index) => mistake.lines?.[index + 1] ?? line);
    const message = await loading(lines, mistake.more).then(
      () => "nothing",
      (error: unknown) =>
        error instanceof CodedError ? error.message : `${String(error)}, uncoded`,
    );
    const said = message.replaceAll("/etc/twinwire/t.yaml:", "").split("\n");
    t.strictSame(said, mistake.says, mistake.why);
    t.notMatch(message, /hunt/, `${mistake.why}: no secret is repeated`);
  }
});

void tap.test("what is not given has its default", async (t) => {
  const { config, warnings } = await loading(SOUND);
  t.strictSame(warnings, []);
  t.strictSame(config, {
    migrations: [
      {
        name: "orders",
        listen: {
          protocol: "postgres",
          host: "127.0.0.1",
          port: 6432,
          maxConnections: 1000,
          tls: undefined,
          loginTimeoutMs: 15_000,
        },
        old: { url: plainUrl("old"), admin: undefined },
        new: { url: plainUrl("new"), admin: undefined },
        auth: {
          method: "users",
          users: [{ name: "app", password: "hunter2", verifier: undefined }],
        },
        shadow: {
          enabled: true,
          sample: 1,
          writes: "skip",
          rehearsal: { lockTimeoutMs: 100, holdMs: 1000, quietMs: 1000 },
          timeoutMs: 5000,
          lagWaitMs: 2000,
          queue: { exchanges: 256, bytes: 8_388_608, totalBytes: 268_435_456 },
        },
        compare: {
          rules: [],
          safeFunctions: [],
          keepBytes: 1_048_576,
          recheck: { enabled: true, perMinute: 60, concurrent: 4, patienceMs: 5000 },
          samples: { perDivergence: 5, reveal: [], storeRequests: false },
        },
        replication: {
          managed: false,
          tables: ["*.*"],
          mapping: { tables: [], schemas: [] },
          copy: { parallel: 2, chunkBytes: 16_777_216, maxRate: undefined },
          ddl: "stop",
          walBudgetBytes: 10_737_418_240,
          ackMarginMs: 0,
          sequences: { headroom: 1000 },
          spool: { path: undefined, memoryBytes: 67_108_864 },
        },
        cutover: {
          maxPauseMs: 5000,
          guards: {
            minCompared: 0,
            maxDivergences: 0,
            maxUnsettled: undefined,
            maxDegraded: undefined,
          },
        },
      },
    ],
    admin: { host: "127.0.0.1", port: 9432, token: undefined },
    store: { path: "./twinwire-data" },
    log: { level: "info" },
  });
});

function plainUrl(host: string): object {
  const tls = {
    mode: "prefer",
    rootCert: undefined,
    cert: undefined,
    key: undefined,
    channelBinding: "prefer",
  };
  return { host, port: 5432, user: "app", password: undefined, database: "orders", tls };
}

const URLS: readonly { why: string; url: string; is: object }[] = [
  {
    why: "everything percent-encoded",
    url: "postgresql://%61pp:p%40ss%2Fw%3Ard%3F%25@db.example:6000/my%20db",
    is: { user: "app", password: "p@ss/w:rd?%", host: "db.example", port: 6000, database: "my db" },
  },
  {
    why: "an at sign in the password, as the last one ends it",
    url: "postgres://app:a@b@old/orders",
    is: { user: "app", password: "a@b", host: "old", database: "orders" },
  },
  { why: "IPv6", url: "postgres://app@[::1]:5433/o", is: { host: "::1", port: 5433 } },
  { why: "the user's database", url: "postgres://app@old", is: { database: "app" } },
  { why: "an empty password is none", url: "postgres://app:@old/o", is: { password: undefined } },
  {
    why: "a parameter",
    url: "postgres://app@old/o?sslmode=require",
    is: { tls: { mode: "require" } },
  },
  {
    why: "the authorities that are trusted anyway",
    url: "postgres://app@old/o?sslmode=verify-full&sslrootcert=system",
    is: { tls: { mode: "verify-full", rootCert: undefined } },
  },
  {
    why: "files relative to the configuration, and all of them as text",
    url: "postgres://app@old/o?sslmode=verify-ca&sslrootcert=cert.pem&sslcert=cert.pem&sslkey=key.pem&channel_binding=require",
    is: {
      tls: { rootCert: serverCert, cert: serverCert, key: serverKey, channelBinding: "require" },
    },
  },
];

void tap.test("a database URL is read as libpq reads it", async (t) => {
  for (const { why, url, is } of URLS) {
    const lines = SOUND.with(3, `    old: { url: "${url}" }`);
    const { config } = await loading(lines);
    t.match(config.migrations[0]?.old.url, is, why);
  }
});

void tap.test(
  "references are replaced by what they refer to, in texts and in numbers",
  async (t) => {
    const lines = SOUND.with(
      5,
      '    users: [{ name: app, password: "a${SECRET}-$${x}" }, { name: b, password: "${file:/run/secrets/app}" }]',
    ).with(2, '    listen: { address: "127.0.0.1:${PORT}" }');
    const more =
      '    shadow: { enabled: "${ON}", sample: "${SHARE}", queue: { bytes: "${SIZE}" } }';
    const { config } = await loading(lines, more);
    const [migration] = config.migrations;
    t.equal(migration?.auth.users[0]?.password, "ahunter2-${x}");
    t.equal(
      migration?.auth.users[1]?.password,
      "hunter2",
      "a file's last newline is no part of it",
    );
    t.equal(migration?.listen.port, 6499);
    t.match(migration?.shadow, { enabled: false, sample: 0.25, queue: { bytes: 65_536 } });
  },
);

void tap.test("what a variable holds cannot become keys", async (t) => {
  const path = "/etc/twinwire/t.yaml";
  const text = SOUND.with(5, '    users: [{ name: app, password: "${EVIL}" }]').join("\n");
  const evil = 'x" }]\nadmin: { address: "0.0.0.0:1" }';
  const config = await loadConfig(path, { EVIL: evil }, async () => text);
  t.equal(config.migrations[0]?.auth.users[0]?.password, evil);
  t.equal(config.admin.port, 9432);
});

void tap.test("rules keep Scientist's words", async (t) => {
  const { compare } = await migrationOf(`    compare:
      safe_functions: [My_Function]
      rules:
        - { name: a, match: { table: orders, column: updated_at }, ignore: true }
        - { name: b, match: { type: numeric }, tolerate: { absolute: 0.01, relative: 1e-9 } }
        - { name: c, clean: [trim, null_is_empty] }
        - { name: d, match: { fingerprint: 0123456789abcdef }, sample: 0.5 }`);
  t.strictSame(compare.safeFunctions, ["my_function"]);
  t.strictSame(compare.rules, [
    { name: "a", match: { table: "orders", column: "updated_at" }, action: { kind: "ignore" } },
    {
      name: "b",
      match: { type: "numeric" },
      action: { kind: "tolerate", absolute: 0.01, relative: 1e-9 },
    },
    { name: "c", match: {}, action: { kind: "clean", with: ["trim", "null_is_empty"] } },
    {
      name: "d",
      match: { fingerprint: "0123456789abcdef" },
      action: { kind: "sample", rate: 0.5 },
    },
  ]);
});

void tap.test("what becomes of a table is read with its names as SQL means them", async (t) => {
  const { replication } = await migrationOf(
    [
      "    replication:",
      '      tables: ["public.*", "!public.audit_*"]',
      "      mapping:",
      "        - { schema: public, to: app }",
      '        - table: Public."Users"',
      "          to: app.Customers",
      "          columns: { email: email_address, note: null }",
      '          constants: { tenant_id: "7", remark: "" }',
      "          convert: { active: boolean_to_integer }",
      "          where: { column: region, in: [eu, null] }",
      "      copy: { max_rate: 8MiB }",
    ].join("\n"),
  );
  t.strictSame(replication.tables, ["public.*", "!public.audit_*"]);
  t.strictSame(replication.mapping, {
    tables: [
      {
        table: { schema: "public", name: "Users" },
        to: { schema: "app", name: "customers" },
        columns: { email: "email_address", note: null },
        constants: { tenant_id: "7", remark: "" },
        convert: { active: "boolean_to_integer" },
        where: { column: "region", in: ["eu", null] },
      },
    ],
    schemas: [{ schema: "public", to: "app" }],
  });
  t.equal(replication.copy.maxRate, 8_388_608);
});

void tap.test("the listener's certificate may be a file or stand in the text", async (t) => {
  const lines = SOUND.with(
    2,
    '    listen: { address: "127.0.0.1:6432", tls: { cert: cert.pem, key: "${file:key.pem}" } }',
  );
  const { config } = await loading(lines);
  t.match(config.migrations[0]?.listen.tls, { cert: serverCert, key: serverKey.trimEnd() });
});

void tap.test("what is allowed and most likely not meant is warned about", async (t) => {
  const lines = SOUND.with(2, '    listen: { address: "0.0.0.0:6432" }').with(
    5,
    "    auth: { trust: true }",
  );
  const more = "    cutover: { max_lag: 200ms }\n    replication: { ddl: ignore }";
  const { warnings } = await loading(lines, more);
  t.strictSame(warnings, [
    "/etc/twinwire/t.yaml:6:20 migrations[0].auth.trust: anyone who reaches the listener is let in as any user",
    "/etc/twinwire/t.yaml:7:16 migrations[0].cutover.max_lag: has no effect while someone else replicates (replication.managed: false)",
    "/etc/twinwire/t.yaml:8:20 migrations[0].replication.ddl: has no effect while someone else replicates (replication.managed: false)",
  ]);
});

void tap.test("a file that cannot be read is named", async (t) => {
  await t.rejects(loadConfig("/etc/gone.yaml", {}, fake), {
    code: "config_invalid",
    message: "/etc/gone.yaml: cannot be read (ENOENT)",
  });
});

void tap.test(
  "a file that was mangled is refused with places, or read, and gives no secret away",
  async (t) => {
    const example = [
      ...SOUND,
      "    shadow: { sample: 0.5, queue: { bytes: 8MiB } }",
      "log: { level: info }",
    ];
    const text = example.join("\n");
    const cut = fc.tuple(fc.nat(text.length), fc.nat(8), fc.string({ maxLength: 6, unit: PIECES }));
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 4 }), async (cuts) => {
        const mangled = cuts.reduce((now, [at, length, put]) => {
          return now.slice(0, at) + put + now.slice(at + length);
        }, text);
        const error = await loading(mangled.split("\n")).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error === undefined) return true;
        const told = error instanceof CodedError && error.code === "config_invalid";
        return told && error.message.split("\n").every((line) => /t\.yaml:\d+:\d+ /.test(line));
      }),
      { numRuns: 100 },
    );
    t.pass("whatever was mangled");
  },
);

void tap.test("the example loads, without a warning", async (t) => {
  const environment = {
    OLD_ADMIN_PASSWORD: "a",
    NEW_ADMIN_PASSWORD: "b",
    APP_PASSWORD: "c",
    TWINWIRE_TOKEN: "0123456789abcdef",
  };
  const read = (name: string): Promise<string> => readFile(name, "utf8");
  const loaded = await loadConfigWithWarnings("config/twinwire.example.yaml", environment, read);
  t.strictSame(loaded.warnings, []);
  t.equal(loaded.config.migrations[0]?.compare.rules.length, 5);
});
