import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { decodeChange, encodeChange } from "../../src/replication/snapshot/change-codec.ts";
import type { RowEvent } from "../../src/replication/snapshot/change-codec.ts";
import { DeferredChanges } from "../../src/replication/snapshot/deferred-changes.ts";
import { DroppedXids } from "../../src/replication/snapshot/dropped-xids.ts";
import { rangeFinder } from "../../src/replication/snapshot/key-order.ts";
import { parseSnapshot } from "../../src/replication/snapshot/source-snapshot.ts";
import { sees } from "../../src/replication/visibility.ts";
import { UNCHANGED } from "../../src/replication/source/source-transaction.ts";
import type { SourceRelation } from "../../src/replication/source/source-transaction.ts";
import type { ColumnShape } from "../../src/replication/table-shape.ts";

void t.test("what a snapshot sees", (test) => {
  const epoch = 3n << 32n;
  const rows: readonly (readonly [snapshot: string, xid: number, seen: boolean, why: string])[] = [
    ["10:20:10,15", 9, true, "before the oldest"],
    ["10:20:10,15", 10, false, "in progress"],
    ["10:20:10,15", 11, true, "ended between"],
    ["10:20:10,15", 19, true, "the last that began"],
    ["10:20:10,15", 20, false, "began after it"],
    ["10:10:", 9, true, "nothing in progress"],
    [`${epoch + 5n}:${epoch + 9n}:${epoch + 5n}`, 6, true, "the epoch is the snapshot's"],
    [
      `${epoch + 5n}:${epoch + 9n}:${epoch + 5n}`,
      0xffff_fff0,
      true,
      "before the numbers wrapped around",
    ],
    [
      `${epoch - 3n}:${epoch + 2n}:${epoch - 3n},${epoch}`,
      0xffff_fffd,
      false,
      "in progress before the wrap",
    ],
    [
      `${epoch - 3n}:${epoch + 2n}:${epoch - 3n},${epoch}`,
      0xffff_fffe,
      true,
      "ended before the wrap",
    ],
    [`${epoch - 3n}:${epoch - 1n}:`, 3, false, "after the wrap, and after it"],
  ];
  for (const [text, xid, seen, why] of rows)
    test.equal(sees(parseSnapshot(text, "0/1"), xid), seen, why);
  for (const text of ["", "1:2", "a:b:", "1:2:3;4"])
    test.throws(() => parseSnapshot(text, "0/1"), { code: "protocol_violation" });
  test.throws(() => parseSnapshot("1:1:", "x"), { code: "protocol_violation" });
  test.end();
});

void t.test("a snapshot that misses a dropped transaction is not used", (test) => {
  const dropped = new DroppedXids();
  for (const xid of [5, 12, 15]) dropped.add(xid);
  test.equal(dropped.allSeenBy(parseSnapshot("10:20:15", "0/1")), false);
  test.equal(dropped.size, 1, "those seen are forgotten");
  test.equal(dropped.allSeenBy(parseSnapshot("21:21:", "0/1")), true);
  test.end();
});

function column(typeName: string, bytewise = false): ColumnShape {
  const rest = {
    type: typeName,
    typeOid: 0,
    nullable: false,
    generated: false,
    identity: "",
    hasDefault: false,
  } as const;
  return { name: "k", typeName, bytewise, ...rest };
}

void t.test("a key lies in the range that the database would say", (test) => {
  const rows: readonly (readonly [ColumnShape, readonly string[], string, number | undefined])[] = [
    [column("integer"), ["-5", "10", "9999999999"], "-6", 0],
    [column("integer"), ["-5", "10", "9999999999"], "-5", 1],
    [column("bigint"), ["-5", "10", "9999999999"], "9", 1],
    [column("bigint"), ["-5", "10", "9999999999"], "9223372036854775807", 3],
    [column("text", true), ["B", "a", "é"], "Z", 1],
    [column("text", true), ["B", "a", "é"], "\u{1f600}", 3],
    [column("text"), ["B", "a"], "Z", undefined],
    [column("date"), ["2024-01-01"], "2023-12-31", 0],
    [column("date"), ["2024-01-01"], "0044-03-15 BC", undefined],
    [column("date"), ["infinity"], "2024-01-01", undefined],
    [column("timestamp without time zone"), ["2024-01-01 00:00:00.5"], "2024-01-01 00:00:00.45", 0],
    [column("timestamp without time zone"), ["2024-01-01 00:00:00"], "2024-01-01 00:00:00.1", 1],
    [column("numeric"), ["1"], "2", undefined],
  ];
  for (const [shape, bounds, key, range] of rows)
    test.equal(rangeFinder(shape, bounds)?.(Buffer.from(key)), range, `${shape.typeName} ${key}`);
  test.end();
});

const relation: SourceRelation = {
  schema: "s",
  name: "t",
  oid: 1,
  columns: [],
  identity: "default",
};
const row = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(null),
    fc.constant(UNCHANGED),
  ),
  { maxLength: 6 },
);
const xid = fc.nat(0xffff_ffff);
const event: fc.Arbitrary<RowEvent> = fc.oneof(
  fc.record({ kind: fc.constant("insert" as const), relation: fc.constant(relation), row, xid }),
  fc.record({
    kind: fc.constant("update" as const),
    relation: fc.constant(relation),
    before: fc.option(row, { nil: undefined }),
    row,
    xid,
  }),
  fc.record({
    kind: fc.constant("delete" as const),
    relation: fc.constant(relation),
    before: row,
    xid,
  }),
);

void t.test("a kept change is read as it was written", (test) => {
  fc.assert(
    fc.property(event, (change) => {
      const bytes = encodeChange(change, 7);
      test.equal(bytes.readUInt32BE(0), bytes.length - 4);
      test.same(
        decodeChange(bytes.subarray(4), () => relation),
        change,
      );
    }),
    { numRuns: 60 },
  );
  test.end();
});

void t.test(
  "changes come back in order, from memory and from a file, and leave nothing",
  async (test) => {
    const folder = mkdtempSync(join(tmpdir(), "deferred-"));
    test.teardown(() => rmSync(folder, { recursive: true }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 60 }),
        fc.nat(3000),
        async (changes, maxBytes) => {
          const budget = { maxBytes, folder, bytes: 0, files: 0 };
          const deferred = new DeferredChanges(budget);
          for (const change of changes) await deferred.add(change);
          for (const _again of [1, 2]) {
            const read: RowEvent[] = [];
            for await (const batch of deferred.batches()) read.push(...batch);
            test.same(read, changes);
          }
          await deferred.clear();
          test.equal(budget.bytes, 0);
        },
      ),
      { numRuns: 40 },
    );
    test.same(readdirSync(folder), []);
  },
);
