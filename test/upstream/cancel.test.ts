import t from "tap";
import { sendCancel } from "../../src/upstream/cancel.ts";
import type { ServerTls } from "../../src/upstream/server-address.ts";
import { authorityCert, serverCert, serverKey, strangerCert } from "../tls/certificates.ts";
import { ask, at, peer, request, serverWith, session } from "./sessions.ts";

const [server, young] = await Promise.all([
  serverWith({ major: 14, tls: { cert: serverCert, key: serverKey } }),
  serverWith({ major: 18, tls: { cert: serverCert, key: serverKey } }),
]);

const rows: readonly { readonly why: string; readonly tls: Partial<ServerTls> }[] = [
  { why: "without TLS", tls: { mode: "disable" } },
  { why: "over TLS", tls: { mode: "verify-full", rootCert: authorityCert } },
  { why: "over TLS because it was offered", tls: { mode: "prefer" } },
];

for (const { major, port, password } of [server, young]) {
  for (const { why, tls } of rows) {
    await t.test(
      `what a session of PostgreSQL ${major} is doing is cancelled ${why}`,
      async (test) => {
        const address = at(port, tls);
        const own = await session(request(address, { user: "postgres", password }), test);
        const other = await session(request(address, { user: "postgres", password }), test);
        const { processId, secretKey, encrypted } = own;
        const limits = { encrypted, timeoutMs: 20_000 };
        const sleeping = ask(own, "SELECT pg_sleep(600)");
        const wrong = Buffer.from(secretKey.map((byte) => byte ^ 0xff));
        const activity = `SELECT state, wait_event FROM pg_stat_activity WHERE pid = ${processId}`;

        // A key that fits nobody: the server says nothing, closes, and goes on sleeping.
        const outcome = await sendCancel({ address, processId, secretKey: wrong, ...limits });
        test.same(outcome, { kind: "sent" });
        while (!(await ask(other, activity)).includes("PgSleep"));

        test.same(await sendCancel({ address, processId, secretKey, ...limits }), { kind: "sent" });
        test.match(await sleeping, "C57014");
        test.match(await ask(own, "SELECT 'still here'"), "still here");
      },
    );
  }
}

await t.test("a cancel that cannot be sent is an outcome, and soon", async (test) => {
  const key = { processId: 1, secretKey: Buffer.alloc(4) };
  const silent = await peer((socket) => socket.resume(), test);
  const late = await sendCancel({ address: at(silent), ...key, encrypted: false, timeoutMs: 100 });
  test.match(late, { kind: "failed", error: { message: /waiting for the server to close/ } });

  const nobody = await sendCancel({ address: at(1), ...key, encrypted: false, timeoutMs: 20_000 });
  test.match(nobody, { kind: "failed", error: { code: "backend_unreachable" } });

  const address = at(server.port, { mode: "verify-ca", rootCert: strangerCert });
  const stranger = await sendCancel({ address, ...key, encrypted: true, timeoutMs: 20_000 });
  test.match(stranger, { kind: "failed", error: { message: /TLS failed/ } });
});

await t.test(
  "a key told under TLS is not sent to a server that has no TLS any more",
  async (test) => {
    const heard: Buffer[] = [];
    const port = await peer((socket) => {
      socket.on("data", (chunk) => {
        heard.push(chunk);
        socket.write("N");
      });
    }, test);
    const secretKey = Buffer.from("secret");
    const address = at(port, { mode: "prefer" });
    const outcome = await sendCancel({
      address,
      processId: 1,
      secretKey,
      encrypted: true,
      timeoutMs: 20_000,
    });
    test.match(outcome, { kind: "failed", error: { message: /does not offer TLS/ } });
    test.notOk(Buffer.concat(heard).includes(secretKey));
  },
);
