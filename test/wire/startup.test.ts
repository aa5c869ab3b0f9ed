import assert from "node:assert/strict";
import t from "tap";
import fc from "fast-check";
import { negotiate } from "../../src/wire/postgres/protocol.ts";
import {
  decodeStartup,
  encodeStartup,
  replicationMode,
  startupBodyBytes,
} from "../../src/wire/postgres/startup.ts";
import type { StartupPacket } from "../../src/wire/postgres/startup.ts";

const text = fc.string({ unit: "binary", maxLength: 20 }).map((some) => some.replaceAll("\0", ""));
const name = text.filter((some) => some !== "");

/** fast-check makes objects without a prototype too, which are not deeply equal to ours. */
function exact<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

const packets: fc.Arbitrary<Exclude<StartupPacket, { readonly type: "malformed" }>> = fc.oneof(
  fc.constant({ type: "ssl_request" } as const),
  fc.constant({ type: "gssenc_request" } as const),
  exact({
    type: fc.constant("cancel_request" as const),
    processId: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    secretKey: fc.uint8Array({ minLength: 1, maxLength: 256 }).map((key) => Buffer.from(key)),
  }),
  exact({
    type: fc.constant("startup" as const),
    minor: fc.integer({ min: 0, max: 0xffff }),
    parameters: fc.array(fc.tuple(name, text)),
  }),
  exact({
    type: fc.constant("unsupported" as const),
    major: fc.integer({ min: 4, max: 1233 }),
    minor: fc.integer({ min: 0, max: 0xffff }),
  }),
);

void t.test("a startup packet is read back as it was written", async () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const bytes = encodeStartup(packet);
      assert.ok(startupBodyBytes(bytes) === bytes.length - 4 || bytes.length > 10_004);
      assert.deepEqual(decodeStartup(bytes.subarray(4)), packet);
    }),
    { numRuns: 300 },
  );
});

void t.test("10,000 packets of garbage are refused or read, and none throws", async (test) => {
  const seen = new Set<string>();
  const versions = fc.constantFrom(
    "",
    "\0\x03\0\0",
    "\0\x03\0\x02",
    "\x04\xd2\x16\x2e",
    "\x04\xd2\x16\x2f",
  );
  const garbage = fc
    .tuple(versions, fc.uint8Array({ minLength: 4, maxLength: 40 }))
    .map(([version, rest]) => Buffer.concat([Buffer.from(version, "latin1"), rest]));
  fc.assert(
    fc.property(garbage, (body) => {
      seen.add(decodeStartup(body).type);
    }),
    { numRuns: 10_000 },
  );
  test.ok(seen.has("malformed") && seen.has("unsupported") && seen.size > 3, [...seen].join(" "));
});

void t.test("lengths that PostgreSQL would not take are none", async (test) => {
  for (const [length, size] of [
    [0, undefined],
    [-1, undefined],
    [7, undefined],
    [8, 4],
    [10_004, 10_000],
    [10_005, undefined],
    [0x7fffffff, undefined],
    [-0x80000000, undefined],
  ] as const) {
    const word = Buffer.alloc(4);
    word.writeInt32BE(length);
    test.equal(startupBodyBytes(word), size, String(length));
  }
});

void t.test("malformed packets are called by PostgreSQL's words", async (test) => {
  const layout = "invalid startup packet layout: expected terminator as last byte";
  for (const [why, hex, message] of [
    ["no parameters and no end", "00030000", layout],
    ["a name without a value", "00030000 75736572 00", layout],
    ["a name without its end", "00030000 75736572", layout],
    ["no end after the last value", "00030000 7500 6100", layout],
    ["something after the end", "00030000 7500 6100 00 00", layout],
    ["not UTF-8", "00030000 7500 ff00 00", "startup parameters are not UTF-8"],
    [
      "a cancel request without a process",
      "04d2162e 0000",
      "invalid length of query cancel packet",
    ],
    ["a cancel request without a key", "04d2162e 00000001", "invalid length of query cancel key"],
    [
      "a key too long",
      `04d2162e 00000001 ${"00".repeat(257)}`,
      "invalid length of query cancel key",
    ],
  ] as const) {
    const read = decodeStartup(Buffer.from(hex.replaceAll(" ", ""), "hex"));
    test.equal(read.type === "malformed" ? read.message : read.type, message, why);
  }
});

void t.test("a client is told what it cannot have, and only then", async (test) => {
  for (const [why, minor, names, expected] of [
    ["3.0", 0, [], { minor: 0, unknownOptions: [], tell: false }],
    ["3.2", 2, ["user"], { minor: 2, unknownOptions: [], tell: false }],
    ["a version to come", 9999, [], { minor: 2, unknownOptions: [], tell: true }],
    ["an option", 0, ["_pq_.x", "user"], { minor: 0, unknownOptions: ["_pq_.x"], tell: true }],
  ] as const) {
    const parameters = names.map((some) => [some, "1"] as const);
    test.same(negotiate(minor, parameters), expected, why);
  }
});

void t.test("the replication parameter is a truth value as PostgreSQL reads one", async (test) => {
  for (const [value, mode] of [
    ["true", true],
    ["T", true],
    ["yes", true],
    ["on", true],
    ["1", true],
    ["false", false],
    ["of", false],
    ["no", false],
    ["0", false],
    ["database", "database"],
    ["DATABASE", undefined],
    ["o", undefined],
    ["", undefined],
    ["truer", undefined],
    ["10", undefined],
  ] as const) {
    test.equal(replicationMode(value), mode, JSON.stringify(value));
  }
});
