import { randomBytes } from "node:crypto";
import t from "tap";
import { dial } from "../../src/upstream/dial.ts";
import { openScramCache } from "../../src/upstream/scram-cache.ts";
import { deriveScramKeys } from "../../src/wire/postgres/scram.ts";
import { at, request, serverWith } from "./sessions.ts";

const salt = Buffer.from("salt");

await t.test("keys are derived once for a password, salt and iteration count", async (test) => {
  const cache = openScramCache(10);
  const first = cache.keysOf("secret", salt, 4096);
  test.equal(cache.keysOf("secret", salt, 4096), first, "while it is being derived");
  test.same(await first, await deriveScramKeys("secret", salt, 4096));
  test.equal(cache.keysOf("secret", salt, 4096), first, "and after");
  for (const [password, otherSalt, iterations] of [
    ["Secret", salt, 4096],
    ["secret", Buffer.from("pepper"), 4096],
    ["secret", salt, 4095],
  ] as const) {
    test.notSame(await cache.keysOf(password, otherSalt, iterations), await first);
  }
});

await t.test("the entries used last are kept, and no more than so many", async (test) => {
  const cache = openScramCache(2);
  const a = cache.keysOf("a", salt, 1);
  const b = cache.keysOf("b", salt, 1);
  test.equal(cache.keysOf("a", salt, 1), a);
  await cache.keysOf("c", salt, 1);
  test.equal(cache.keysOf("a", salt, 1), a, "used after b");
  test.not(cache.keysOf("b", salt, 1), b, "was the oldest");
});

await t.test("a derivation that failed is not kept", async (test) => {
  const cache = openScramCache(2);
  await test.rejects(cache.keysOf("a", salt, 0));
  await test.rejects(cache.keysOf("a", salt, 0));
});

await t.test("a hundred sessions at once share one derivation", async (test) => {
  const server = await serverWith({ major: 16 });
  let derivations = 0;
  const cache = openScramCache(10);
  const seen = new Set<unknown>();
  const deps = {
    random: randomBytes,
    scramCache: {
      keysOf: (...args: Parameters<typeof cache.keysOf>) => {
        derivations++;
        const keys = cache.keysOf(...args);
        seen.add(keys);
        return keys;
      },
    },
  };
  const { port, password } = server;
  const wish = request(at(port), { user: "postgres", password });
  const dials = await Promise.all(Array.from({ length: 100 }, () => dial(wish, deps)));
  test.equal(dials.filter(({ kind }) => kind === "ready").length, 100);
  test.equal(derivations, 100);
  test.equal(seen.size, 1);
  for (const outcome of dials) if (outcome.kind === "ready") outcome.server.socket.destroy();
});
