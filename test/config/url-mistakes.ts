import type { Mistake } from "./mistakes.ts";

/** Mistakes in database URLs and in the files of certificates and keys. */
export const URL_MISTAKES: readonly Mistake[] = [
  {
    why: "a URL of another database",
    lines: { 4: '    old: { url: "mysql://app:hunter2@old/orders" }' },
    says: ["4:17 migrations[0].old.url: expected postgres://user@host:port/database"],
  },
  {
    why: "a URL without a user",
    lines: { 4: '    old: { url: "postgres://old/orders" }' },
    says: [
      "4:17 migrations[0].old.url: names no user: write postgres://user@host:port/database (a / or ? in a password must be percent-encoded)",
    ],
  },
  {
    why: "a URL without a host",
    lines: { 4: '    old: { url: "postgres://app@/orders" }' },
    says: ["4:17 migrations[0].old.url: names no host: write postgres://user@host:port/database"],
  },
  {
    why: "a URL whose password holds a slash",
    lines: { 4: '    old: { url: "postgres://app:hunt/er2@old/orders" }' },
    says: [
      "4:17 migrations[0].old.url: names no user: write postgres://user@host:port/database (a / or ? in a password must be percent-encoded)",
    ],
  },
  {
    why: "a URL whose password holds a question mark",
    lines: { 4: '    old: { url: "postgres://app:hunt?er2@old/orders" }' },
    says: [
      "4:17 migrations[0].old.url: names no user: write postgres://user@host:port/database (a / or ? in a password must be percent-encoded)",
    ],
  },
  {
    why: "a URL with a broken percent-encoding",
    lines: { 4: '    old: { url: "postgres://app:hunter%2@old/orders" }' },
    says: [
      "4:17 migrations[0].old.url: holds a % that is no percent-encoding: write %25 for the character itself",
    ],
  },
  {
    why: "a URL with several hosts",
    lines: { 4: '    old: { url: "postgres://app@a,b/orders" }' },
    says: ["4:17 migrations[0].old.url: names several hosts: only one is supported"],
  },
  {
    why: "a URL of a Unix socket",
    lines: { 4: '    old: { url: "postgres://app@%2Ftmp/orders" }' },
    says: ["4:17 migrations[0].old.url: names a Unix socket: only TCP is supported"],
  },
  {
    why: "a URL with a port that is none",
    lines: { 4: '    old: { url: "postgres://app@old:0/orders" }' },
    says: [
      "4:17 migrations[0].old.url: the port is not a number from 1 to 65535 (a / or ? in a password must be percent-encoded)",
    ],
  },
  {
    why: "a parameter with a typing error",
    lines: { 4: '    old: { url: "postgres://app@old/orders?ssl_mode=require" }' },
    says: ["4:17 migrations[0].old.url: unknown parameter ssl_mode: did you mean sslmode?"],
  },
  {
    why: "a parameter that is not supported",
    lines: { 4: '    old: { url: "postgres://app@old/orders?target_session_attrs=any" }' },
    says: [
      "4:17 migrations[0].old.url: holds a parameter that is not supported: those supported are sslmode, sslrootcert, sslcert, sslkey, channel_binding",
    ],
  },
  {
    why: "a parameter given twice",
    lines: { 4: '    old: { url: "postgres://app@old/orders?sslmode=require&sslmode=disable" }' },
    says: ["4:17 migrations[0].old.url: the parameter sslmode is given twice"],
  },
  {
    why: "an sslmode with a typing error",
    lines: { 4: '    old: { url: "postgres://app@old/orders?sslmode=verify_full" }' },
    says: [
      "4:17 migrations[0].old.url: sslmode: expected disable, allow, prefer, require, verify-ca or verify-full: did you mean verify-full?",
    ],
  },
  {
    why: "verification without authorities",
    lines: { 4: '    old: { url: "postgres://app@old/orders?sslmode=verify-full" }' },
    says: [
      "4:17 migrations[0].old.url: sslmode=verify-full needs sslrootcert: a file, or system for the authorities that are trusted anyway",
    ],
  },
  {
    why: "a root certificate that is not there",
    lines: {
      4: '    old: { url: "postgres://app@old/orders?sslmode=verify-ca&sslrootcert=gone.pem" }',
    },
    says: ["4:17 migrations[0].old.url: sslrootcert: the file cannot be read"],
  },
  {
    why: "a root certificate that is none",
    lines: {
      4: '    old: { url: "postgres://app@old/orders?sslmode=verify-ca&sslrootcert=secret.txt" }',
    },
    says: ["4:17 migrations[0].old.url: sslrootcert: holds no certificate in PEM form"],
  },
  {
    why: "a client certificate without its key",
    lines: { 4: '    old: { url: "postgres://app@old/orders?sslcert=cert.pem" }' },
    says: ["4:17 migrations[0].old.url: sslcert and sslkey belong together: give both or neither"],
  },
  {
    why: "channel binding without TLS",
    lines: {
      4: '    old: { url: "postgres://app@old/orders?sslmode=disable&channel_binding=require" }',
    },
    says: [
      "4:17 migrations[0].old.url: channel_binding=require needs TLS, which sslmode=disable forbids",
    ],
  },
  {
    why: "old and new are the same",
    lines: { 5: '    new: { url: "postgres://app@old/orders" }' },
    says: ["5:17 migrations[0].new.url: is the same database as old.url"],
  },
  {
    why: "a certificate that is not there",
    lines: {
      3: '    listen: { address: "127.0.0.1:6432", tls: { cert: gone.pem, key: key.pem } }',
    },
    says: ["3:55 migrations[0].listen.tls.cert: the file cannot be read"],
  },
  {
    why: "a key that is another certificate's",
    lines: {
      3: '    listen: { address: "127.0.0.1:6432", tls: { cert: cert.pem, key: other-key.pem } }',
    },
    says: ["3:47 migrations[0].listen.tls: the key does not belong to the certificate"],
  },
  {
    why: "a key and certificate mixed up",
    lines: {
      3: '    listen: { address: "127.0.0.1:6432", tls: { cert: key.pem, key: cert.pem } }',
    },
    says: [
      "3:55 migrations[0].listen.tls.cert: holds no certificate in PEM form",
      "3:69 migrations[0].listen.tls.key: holds no private key without a passphrase in PEM form",
    ],
  },
];
