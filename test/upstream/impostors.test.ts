import { X509Certificate } from "node:crypto";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { TLSSocket, connect as connectTls } from "node:tls";
import type { PeerCertificate } from "node:tls";
import t from "tap";
import type { Test } from "tap";
import { dial } from "../../src/upstream/dial.ts";
import { tlsOptions } from "../../src/upstream/tls-options.ts";
import { authenticationSasl } from "../../src/wire/postgres/auth-messages.ts";
import {
  authorityCert,
  elsewhereCert,
  elsewhereKey,
  nameOnlyCert,
  serverCert,
  serverKey,
} from "../tls/certificates.ts";
import { at, deps, describe, peer, request, serverWith } from "./sessions.ts";

const server = await serverWith({ major: 16, tls: { cert: serverCert, key: serverKey } });
const login = { user: "postgres", password: server.password };
const SSL_REQUEST = Buffer.from("0000000804d2162f", "hex");

type Impostor = {
  readonly cert: string;
  readonly key: string;
  /** What the client gets to see of the server's words. */
  readonly alter: (bytes: Buffer) => Buffer;
};

/** Somebody between client and server, who ends the client's TLS and speaks TLS to the server. */
function between(impostor: Impostor, test: Test): Promise<number> {
  const sockets: Socket[] = [];
  test.teardown(() => sockets.forEach((socket) => socket.destroy()));
  return peer((client) => {
    client.once("data", () => {
      client.write("S");
      const secure = new TLSSocket(client, { isServer: true, ...impostor });
      const plain = connect(server.port, "127.0.0.1", () => plain.write(SSL_REQUEST));
      sockets.push(plain);
      plain.once("data", () => {
        const upstream = connectTls({ socket: plain, rejectUnauthorized: false });
        upstream.on("data", (bytes: Buffer) => secure.write(impostor.alter(bytes)));
        secure.on("data", (bytes: Buffer) => upstream.write(bytes));
        for (const each of [upstream, secure, plain]) each.on("error", () => {});
        upstream.on("close", () => secure.end());
        secure.on("close", () => upstream.destroy());
      });
    });
  }, test);
}

const unaltered = (bytes: Buffer): Buffer => bytes;
const offered = authenticationSasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
const withoutPlus = (bytes: Buffer): Buffer =>
  bytes.equals(offered) ? authenticationSasl(["SCRAM-SHA-256"]) : bytes;

const own = { cert: elsewhereCert, key: elsewhereKey };
const stolen = { cert: serverCert, key: serverKey };

const rows = [
  {
    why: "who changes nothing and has the server's key is not noticed",
    impostor: { ...stolen, alter: unaltered },
    binding: "require",
    outcome: /^ready tls$/,
  },
  {
    why: "who has a certificate of his own is found out by the server",
    impostor: { ...own, alter: unaltered },
    binding: "prefer",
    outcome: /^refused 28000$/,
  },
  {
    why: "who takes away SCRAM-SHA-256-PLUS is found out by the server",
    impostor: { ...own, alter: withoutPlus },
    binding: "prefer",
    outcome: /^refused 28000$/,
  },
  {
    why: "who takes away SCRAM-SHA-256-PLUS is left where channel binding is required",
    impostor: { ...own, alter: withoutPlus },
    binding: "require",
    outcome: /^failed authentication_failed: .*channel_binding=require/,
  },
  {
    why: "is not looked for where channel binding is off",
    impostor: { ...own, alter: withoutPlus },
    binding: "disable",
    outcome: /^ready tls$/,
  },
] as const;

for (const { why, impostor, binding, outcome } of rows) {
  await t.test(`somebody in between ${why}`, async (test) => {
    const port = await between(impostor, test);
    const address = at(port, { mode: "require", channelBinding: binding });
    const result = await dial(request(address, login), deps);
    test.match(describe(result), outcome);
    if (result.kind === "ready") result.server.socket.destroy();
  });
}

await t.test("verify-full takes a certificate for the names in it, as libpq does", async (test) => {
  const names = [
    { host: "localhost", cert: serverCert, fits: true },
    { host: "LOCALHOST", cert: serverCert, fits: true },
    { host: "127.0.0.1", cert: serverCert, fits: true },
    { host: "127.0.0.2", cert: serverCert, fits: false },
    { host: "::1", cert: serverCert, fits: false },
    { host: "elsewhere.test", cert: serverCert, fits: false },
    { host: "elsewhere.test", cert: elsewhereCert, fits: true },
    { host: "a.wild.test", cert: elsewhereCert, fits: true },
    { host: "a.b.wild.test", cert: elsewhereCert, fits: false },
    { host: "wild.test", cert: elsewhereCert, fits: false },
    { host: "localhost", cert: nameOnlyCert, fits: true },
    { host: "127.0.0.1", cert: nameOnlyCert, fits: false },
  ];
  for (const { host, cert, fits } of names) {
    const options = tlsOptions(at(1, { mode: "verify-full", rootCert: authorityCert }, host));
    const certificate = new X509Certificate(cert).toLegacyObject() as PeerCertificate;
    const problem = options.checkServerIdentity?.(host, certificate);
    test.equal(problem === undefined, fits, `${host}: ${problem?.message ?? "fits"}`);
  }
});
