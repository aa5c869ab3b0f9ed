import { REPLICATION_MISTAKES } from "./replication-mistakes.ts";
import { URL_MISTAKES } from "./url-mistakes.ts";

/** The configuration that every mistake is made in. */
export const SOUND: readonly string[] = [
  "migrations:",
  "  - name: orders",
  '    listen: { address: "127.0.0.1:6432" }',
  '    old: { url: "postgres://app@old/orders" }',
  '    new: { url: "postgres://app@new/orders" }',
  "    users: [{ name: app, password: hunter2 }]",
];

export type Mistake = {
  readonly why: string;
  /** Lines put in the place of those of `SOUND`, by number from 1. */
  readonly lines?: Readonly<Record<number, string>>;
  /** Text behind the last line. */
  readonly more?: string;
  /** What loading says, without the file's name. */
  readonly says: readonly string[];
};

/** One mistake, or several that belong together, and the whole of what is said about it. */
export const MISTAKES: readonly Mistake[] = [
  {
    why: "an unknown key names the nearest right one",
    lines: { 3: '    listen: { adress: "127.0.0.1:6432" }' },
    says: [
      "3:13 migrations[0].listen.address: is missing",
      "3:15 migrations[0].listen.adress: unknown key adress: did you mean address?",
    ],
  },
  {
    why: "camelCase is recognised as the snake_case key",
    more: "    cutover: { maxPause: 5s }",
    says: ["7:16 migrations[0].cutover.maxPause: unknown key maxPause: did you mean max_pause?"],
  },
  {
    why: "a key that resembles nothing gets the list",
    more: "log: { colour: blue }",
    says: ["7:8 log.colour: unknown key colour: the keys here are level"],
  },
  {
    why: "an unknown key at the root",
    more: "adminn: {}",
    says: ["7:1 adminn: unknown key adminn: did you mean admin?"],
  },
  {
    why: "an unknown key in a list",
    lines: { 6: "    users: [{ name: app, pasword: secret }]" },
    says: [
      "6:13 migrations[0].users[0]: needs a password or a verifier",
      "6:26 migrations[0].users[0].pasword: unknown key pasword: did you mean password?",
    ],
  },
  {
    why: "a long unknown key is cut",
    more: "log: { xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: 1 }",
    says: [
      "7:8 log.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: unknown key xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: the keys here are level",
    ],
  },
  {
    why: "an address without a port",
    lines: { 3: '    listen: { address: "127.0.0.1" }' },
    says: ["3:24 migrations[0].listen.address: expected host:port or [v6]:port"],
  },
  {
    why: "an address with a port too large",
    lines: { 3: '    listen: { address: "127.0.0.1:70000" }' },
    says: ["3:24 migrations[0].listen.address: expected host:port or [v6]:port"],
  },
  {
    why: "an IPv6 address without brackets",
    lines: { 3: '    listen: { address: "::1:6432" }' },
    says: ["3:24 migrations[0].listen.address: expected host:port or [v6]:port"],
  },
  {
    why: "a number where an address belongs",
    lines: { 3: "    listen: { address: 6432 }" },
    says: ["3:24 migrations[0].listen.address: expected text, found a number: put it in quotes"],
  },
  {
    why: "another protocol",
    lines: { 3: '    listen: { protocol: postgresql, address: "127.0.0.1:1" }' },
    says: ["3:25 migrations[0].listen.protocol: expected postgres"],
  },
  {
    why: "no listener",
    lines: { 3: "    # nothing" },
    says: ["2:5 migrations[0].listen: is missing"],
  },
  {
    why: "an empty section",
    lines: { 3: "    listen:" },
    says: ["3:12 migrations[0].listen: expected a mapping, found nothing"],
  },
  {
    why: "a list for a mapping",
    lines: { 3: "    listen: []" },
    says: ["3:13 migrations[0].listen: expected a mapping, found a list"],
  },
  {
    why: "a mapping for a list",
    lines: { 6: "    users: { name: app }" },
    says: ["6:12 migrations[0].users: expected a list, found a mapping"],
  },
  {
    why: "no users",
    lines: { 6: "    users: []" },
    says: ["6:12 migrations[0].users: must not be empty"],
  },
  {
    why: "no way to log in",
    lines: { 6: "    # nobody" },
    says: ["2:5 migrations[0]: names no way to log in: give users, or auth: { from: old }"],
  },
  {
    why: "a user without a secret",
    lines: { 6: "    users: [{ name: app }]" },
    says: ["6:13 migrations[0].users[0]: needs a password or a verifier"],
  },
  {
    why: "a verifier that is none",
    lines: { 6: "    users: [{ name: app, verifier: md5abc }]" },
    says: [
      "6:36 migrations[0].users[0].verifier: expected SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>, as in pg_authid",
    ],
  },
  {
    why: "a password that YAML reads as a number",
    lines: { 6: "    users: [{ name: app, password: 12345 }]" },
    says: ["6:36 migrations[0].users[0].password: expected text, found a number: put it in quotes"],
  },
  {
    why: "a password that YAML reads as a truth value",
    lines: { 6: "    users: [{ name: app, password: true }]" },
    says: [
      "6:36 migrations[0].users[0].password: expected text, found true or false: put it in quotes",
    ],
  },
  {
    why: "an empty password",
    lines: { 6: '    users: [{ name: app, password: "" }]' },
    says: ["6:36 migrations[0].users[0].password: is empty"],
  },
  {
    why: "two users of one name",
    lines: { 6: "    users: [{ name: app, password: a }, { name: app, password: b }]" },
    says: ["6:49 migrations[0].users[1].name: another user of this migration has this name"],
  },
  {
    why: "two ways of authentication",
    lines: { 6: "    auth: { from: old, trust: true }" },
    says: ["6:11 migrations[0].auth: give exactly one of from: old and trust: true"],
  },
  {
    why: "no way of authentication",
    lines: { 6: "    auth: {}" },
    says: ["6:11 migrations[0].auth: give exactly one of from: old and trust: true"],
  },
  {
    why: "authentication from the wrong side",
    lines: { 6: "    auth: { from: new }" },
    says: ["6:19 migrations[0].auth.from: expected old"],
  },
  {
    why: "a name with capitals",
    lines: { 2: "  - name: Orders" },
    says: [
      "2:11 migrations[0].name: expected 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit",
    ],
  },
  { why: "no name", lines: { 2: "  - # nameless" }, says: ["3:5 migrations[0].name: is missing"] },
  {
    why: "no migration",
    lines: { 2: "", 3: "", 4: "", 5: "", 6: "" },
    says: ["1:12 migrations: expected a list, found nothing"],
  },
  {
    why: "a number with no unit",
    more: "    cutover: { max_pause: 5 }",
    says: [
      "7:27 migrations[0].cutover.max_pause: expected a duration with its unit, such as 200ms or 5s",
    ],
  },
  {
    why: "an unknown unit",
    more: "    cutover: { max_pause: 5sec }",
    says: [
      "7:27 migrations[0].cutover.max_pause: expected a duration with its unit, such as 200ms or 5s",
    ],
  },
  {
    why: "a duration out of range",
    more: "    cutover: { max_pause: 2d }",
    says: ["7:27 migrations[0].cutover.max_pause: must be between 10ms and 1h"],
  },
  {
    why: "a share above all",
    more: "    cutover: { guards: { min_compared: 90 } }",
    says: ["7:40 migrations[0].cutover.guards.min_compared: expected a share from 0 to 1"],
  },
  {
    why: "a bar that is none",
    more: "    cutover: { guards: { max_divergence: 0 } }",
    says: [
      "7:26 migrations[0].cutover.guards.max_divergence: unknown key max_divergence: did you mean max_divergences?",
    ],
  },
  {
    why: "no yes and no no",
    more: "    compare: { samples: { store_requests: maybe } }",
    says: ["7:43 migrations[0].compare.samples.store_requests: expected true or false, found text"],
  },
  {
    why: "a size with no unit",
    more: "    compare: { keep: 1000000 }",
    says: ["7:22 migrations[0].compare.keep: expected a size with its unit, such as 64KiB or 8MiB"],
  },
  {
    why: "a size with a unit of bits",
    more: "    shadow: { queue: { bytes: 8Mb } }",
    says: [
      "7:31 migrations[0].shadow.queue.bytes: expected a size with its unit, such as 64KiB or 8MiB",
    ],
  },
  {
    why: "the bound of one above the bound of all",
    more: "    shadow: { queue: { bytes: 8MiB, total_bytes: 1MiB } }",
    says: [
      "7:22 migrations[0].shadow.queue: bytes, the bound of one session, is above total_bytes, the bound of all",
    ],
  },
  {
    why: "a sample in per cent",
    more: "    shadow: { sample: 20 }",
    says: ["7:23 migrations[0].shadow.sample: expected a share from 0 to 1"],
  },
  {
    why: "a sample in words",
    more: "    shadow: { sample: all }",
    says: ["7:23 migrations[0].shadow.sample: expected a share from 0 to 1"],
  },
  {
    why: "writes with a typing error",
    more: "    shadow: { writes: aply }",
    says: [
      "7:23 migrations[0].shadow.writes: expected skip, rehearse or apply: did you mean apply?",
    ],
  },
  {
    why: "writes of another tool",
    more: "    shadow: { writes: discard }",
    says: ["7:23 migrations[0].shadow.writes: expected skip, rehearse or apply"],
  },
  {
    why: "a truth value in words",
    more: "    shadow: { enabled: yes }",
    says: ["7:24 migrations[0].shadow.enabled: expected true or false, found text"],
  },
  {
    why: "a fraction where a whole number belongs",
    more: "    shadow: { queue: { exchanges: 1.5 } }",
    says: ["7:35 migrations[0].shadow.queue.exchanges: expected a whole number from 1 to 1000000"],
  },
  {
    why: "a negative number",
    lines: { 3: '    listen: { address: "127.0.0.1:6432", max_connections: -1 }' },
    says: ["3:59 migrations[0].listen.max_connections: expected a whole number from 1 to 100000"],
  },
  ...REPLICATION_MISTAKES,
  {
    why: "a rule with no action",
    more: "    compare: { rules: [{ name: a, match: { table: t } }] }",
    says: [
      "7:24 migrations[0].compare.rules[0]: needs exactly one of ignore, tolerate, clean, sample, found none",
    ],
  },
  {
    why: "a rule with two actions",
    more: "    compare: { rules: [{ name: a, match: { table: t }, ignore: true, sample: 0.5 }] }",
    says: [
      "7:24 migrations[0].compare.rules[0]: needs exactly one of ignore, tolerate, clean, sample, found ignore and sample",
    ],
  },
  {
    why: "a rule that ignores everything",
    more: "    compare: { rules: [{ name: a, ignore: true }] }",
    says: [
      "7:24 migrations[0].compare.rules[0]: ignores everything: match needs a fingerprint, table, column or type",
    ],
  },
  {
    why: "a rule that is switched off",
    more: "    compare: { rules: [{ name: a, match: { table: t }, ignore: false }] }",
    says: ["7:24 migrations[0].compare.rules[0]: ignore: false does nothing: remove the rule"],
  },
  {
    why: "a tolerance of nothing",
    more: "    compare: { rules: [{ name: a, tolerate: {} }] }",
    says: [
      "7:24 migrations[0].compare.rules[0]: tolerate needs absolute, relative or both, or sqlstates",
    ],
  },
  {
    why: "amounts and SQLSTATEs in one tolerance",
    more: "    compare: { rules: [{ name: a, tolerate: { absolute: 1, sqlstates: [[22P02, '22023']] } }] }",
    says: [
      "7:24 migrations[0].compare.rules[0]: tolerate takes amounts or sqlstates: make two rules of them",
    ],
  },
  {
    why: "SQLSTATEs of a column",
    more: "    compare: { rules: [{ name: a, match: { column: c }, tolerate: { sqlstates: [[22P02, '22023']] } }] }",
    says: [
      "7:24 migrations[0].compare.rules[0]: sqlstates are of whole statements: match them by fingerprint or table",
    ],
  },
  {
    why: "a SQLSTATE that is none",
    more: "    compare: { rules: [{ name: a, tolerate: { sqlstates: [[22P02, '2202']] } }] }",
    says: [
      "7:67 migrations[0].compare.rules[0].tolerate.sqlstates[0][1]: expected a SQLSTATE of 5 digits and capitals",
    ],
  },
  {
    why: "a SQLSTATE that YAML takes for a number",
    more: "    compare: { rules: [{ name: a, tolerate: { sqlstates: [[22P02, 08006]] } }] }",
    says: [
      "7:67 migrations[0].compare.rules[0].tolerate.sqlstates[0][1]: expected text, found a number: put it in quotes",
    ],
  },
  {
    why: "a negative tolerance",
    more: "    compare: { rules: [{ name: a, tolerate: { absolute: -1 } }] }",
    says: ["7:57 migrations[0].compare.rules[0].tolerate.absolute: expected a number not below 0"],
  },
  {
    why: "a cleaning that does not exist",
    more: "    compare: { rules: [{ name: a, clean: [trim, lowercase] }] }",
    says: [
      "7:49 migrations[0].compare.rules[0].clean[1]: expected trim, lower_case, collapse_space or null_is_empty: did you mean lower_case?",
    ],
  },
  {
    why: "a sample of columns",
    more: "    compare: { rules: [{ name: a, match: { column: c }, sample: 0.5 }] }",
    says: [
      "7:24 migrations[0].compare.rules[0]: sample takes whole statements: match them by fingerprint or table",
    ],
  },
  {
    why: "a fingerprint that is none",
    more: "    compare: { rules: [{ name: a, match: { fingerprint: xyz }, ignore: true }] }",
    says: ["7:57 migrations[0].compare.rules[0].match.fingerprint: expected 16 hexadecimal digits"],
  },
  {
    why: "two rules of one name",
    more: "    compare: { rules: [{ name: a, match: { table: t }, ignore: true }, { name: a, match: { table: u }, ignore: true }] }",
    says: [
      "7:80 migrations[0].compare.rules[1].name: another rule of this migration has this name",
    ],
  },
  {
    why: "a rule undone by another",
    more: "    compare: { rules: [{ name: a, match: { table: t }, ignore: true }, { name: b, match: { table: t }, sample: 0.5 }] }",
    says: [
      "7:72 migrations[0].compare.rules[1]: can do nothing: another rule ignores the same match",
    ],
  },
  {
    why: "two migrations of one name and address",
    more: '  - name: orders\n    listen: { address: "127.0.0.1:6432" }\n    old: { url: "postgres://app@old/o" }\n    new: { url: "postgres://app@new/o" }\n    auth: { from: old }',
    says: [
      "7:11 migrations[1].name: another migration has this name",
      "8:24 migrations[1].listen.address: another migration listens on this address",
    ],
  },
  {
    why: "a wildcard takes the port of every address",
    more: '  - name: billing\n    listen: { address: "0.0.0.0:6432" }\n    old: { url: "postgres://app@old/o" }\n    new: { url: "postgres://app@new/o" }\n    auth: { from: old }',
    says: ["8:24 migrations[1].listen.address: another migration listens on this address"],
  },
  {
    why: "the admin API on a migration's address",
    more: 'admin: { address: "127.0.0.1:6432" }',
    says: ["7:19 admin.address: a migration listens on this address"],
  },
  {
    why: "an open admin API beyond loopback",
    more: 'admin: { address: "0.0.0.0:9432" }',
    says: ["7:19 admin.address: beyond loopback the admin API needs a token: set admin.token"],
  },
  {
    why: "a short token",
    more: "admin: { token: hunter2 }",
    says: ["7:17 admin.token: is shorter than 16 characters"],
  },
  {
    why: "a token with blanks",
    more: 'admin: { token: "hunter2 hunter2 hunter2" }',
    says: ["7:17 admin.token: may hold only printable ASCII characters without spaces"],
  },
  {
    why: "a variable that is not set",
    lines: { 6: '    users: [{ name: app, password: "${APP_PASSWORD}" }]' },
    says: [
      "6:36 migrations[0].users[0].password: the environment variable APP_PASSWORD is not set",
    ],
  },
  {
    why: "a variable without a name",
    lines: { 6: '    users: [{ name: app, password: "${}" }]' },
    says: [
      "6:36 migrations[0].users[0].password: expected ${NAME} or ${file:/path}: write $${ for the characters",
    ],
  },
  {
    why: "a reference that is not closed",
    lines: { 6: '    users: [{ name: app, password: "${HOME" }]' },
    says: [
      "6:36 migrations[0].users[0].password: a ${ is not closed: write $${ for the characters",
    ],
  },
  {
    why: "a secret file that is not there",
    lines: { 6: '    users: [{ name: app, password: "${file:/run/gone}" }]' },
    says: ["6:36 migrations[0].users[0].password: the file /run/gone cannot be read"],
  },
  {
    why: "a value that fails after substitution is not repeated",
    lines: { 3: '    listen: { address: "${SECRET}" }' },
    says: ["3:24 migrations[0].listen.address: expected host:port or [v6]:port"],
  },
  {
    why: "everything wrong is named at once",
    lines: {
      2: "  - name: Orders",
      3: "    listen: { adress: x, tls: { cert: gone.pem, key: key.pem } }",
      6: '    users: [{ name: app, password: "${NOPE}" }]',
    },
    more: '    shadow: { sample: 2 }\nadmin: { address: "0.0.0.0:9432" }',
    says: [
      "2:11 migrations[0].name: expected 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit",
      "3:13 migrations[0].listen.address: is missing",
      "3:15 migrations[0].listen.adress: unknown key adress: did you mean address?",
      "3:39 migrations[0].listen.tls.cert: the file cannot be read",
      "6:36 migrations[0].users[0].password: the environment variable NOPE is not set",
      "7:23 migrations[0].shadow.sample: expected a share from 0 to 1",
      "8:19 admin.address: beyond loopback the admin API needs a token: set admin.token",
    ],
  },
  {
    why: "a key that stands twice",
    more: "log: {}\nlog: {}",
    says: ["8:1 this key stands twice in one mapping"],
  },
  {
    why: "a tab for indentation",
    lines: { 3: '	listen: { address: "127.0.0.1:6432" }' },
    says: ["3:1 a tab cannot be used to indent"],
  },
  {
    why: "indentation that does not fit",
    lines: { 3: '   listen: { address: "127.0.0.1:6432" }' },
    says: ["3:1 a quote, bracket, comma, colon or space is missing"],
  },
  {
    why: "a quote that is not closed",
    lines: { 6: '    users: [{ name: app, password: "hunter2 }]' },
    says: ["8:1 a quote, bracket, comma, colon or space is missing"],
  },
  {
    why: "an unquoted value that begins with a special character",
    lines: { 6: "    users: [{ name: app, password: @hunter2 }]" },
    says: ["6:36 a text that begins with this character must be quoted"],
  },
  {
    why: "a bracket that is not closed",
    lines: { 6: "    users: [{ name: app, password: hunter2 }" },
    says: ["8:1 the indentation does not fit what stands above, or a bracket is not closed"],
  },
  {
    why: "an alias to nothing",
    lines: { 6: "    users: *hunter2" },
    says: ["6:12 an alias names no anchor before it"],
  },
  {
    why: "aliases that multiply",
    more: "log:\n  a: &a [1,1,1,1,1,1,1,1,1]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n  d: [*c,*c,*c,*c,*c,*c,*c,*c,*c]",
    says: ["1:1 the aliases multiply beyond what is read"],
  },
  {
    why: "a mistake behind an alias is found where it was written",
    more: "log: &x { level: loud }\nstore: *x",
    says: [
      "7:11 store.level: unknown key level: the keys here are path",
      "7:18 log.level: expected debug, info, warn, error or silent",
    ],
  },
  {
    why: "a second document",
    more: "---\nmigrations: []",
    says: ["7:1 a second document: only one is read"],
  },
  {
    why: "a text for the whole",
    lines: { 1: "hunter2", 2: "", 3: "", 4: "", 5: "", 6: "" },
    says: ["1:1 expected a mapping, found text"],
  },
  {
    why: "a list for the whole",
    lines: { 1: "- 1", 2: "", 3: "", 4: "", 5: "", 6: "" },
    says: ["1:1 expected a mapping, found a list"],
  },
  {
    why: "an empty file",
    lines: { 1: "", 2: "", 3: "", 4: "", 5: "", 6: "" },
    says: ["1:1 is empty"],
  },
  ...URL_MISTAKES,
];
