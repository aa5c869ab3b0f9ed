import fc from "fast-check";
import t from "tap";
import { CodedError } from "../../src/base/errors.ts";
import { decodePgoutput } from "../../src/wire/postgres/pgoutput.ts";
import type { PgoutputMessage } from "../../src/wire/postgres/pgoutput-message.ts";
import { UNCHANGED } from "../../src/wire/postgres/pgoutput-message.ts";
import {
  decodeWalMessage,
  standbyStatusMessage,
} from "../../src/wire/postgres/replication-messages.ts";
import type { Lsn } from "../../src/wire/position.ts";

const hex = (...parts: readonly string[]): Buffer =>
  Buffer.from(parts.join("").replaceAll(" ", ""), "hex");
const text = (value: string): string => Buffer.from(`${value}\0`).toString("hex");

function decode(bytes: Buffer, inStream = false): PgoutputMessage {
  // Within a larger buffer, as messages stand.
  const around = Buffer.concat([Buffer.from([0xee]), bytes, Buffer.from([0xee, 0xee])]);
  return decodePgoutput(around, 1, 1 + bytes.length, inStream);
}

const XID = "00000301";
const LSN = "00000016 b374d848";
/** 2026-01-01 00:00:00.5 UTC in microseconds since 2000. */
const TIME = "0002eb0ab68ac120";
const TIME_MS = 946_684_800_000 + 0x0002eb0ab68ac120 / 1000;
const TABLE = "00004001";
const lsn = 0x16b374d848n as Lsn;
const one = Buffer.from("one");

const MESSAGES: readonly (readonly [string, Buffer, boolean, PgoutputMessage])[] = [
  [
    "Begin",
    hex("42", LSN, TIME, XID),
    false,
    { type: "begin", commitLsn: lsn, committedAtMs: TIME_MS, xid: 769 },
  ],
  [
    "Commit: flags, position, end, time",
    hex("43 00", LSN, "00000016 b374d850", TIME),
    false,
    { type: "commit", commitLsn: lsn, endLsn: (lsn + 8n) as Lsn, committedAtMs: TIME_MS },
  ],
  ["Origin", hex("4f", LSN, text("them")), false, { type: "origin", lsn, name: "them" }],
  [
    "Relation: oid, names, identity, columns with flags, name, type, modifier",
    hex(
      "52",
      TABLE,
      text("public"),
      text("items"),
      "64 0002",
      "01",
      text("id"),
      "00000017 ffffffff",
      "00",
      text("näme"),
      "00000413 00000036",
    ),
    false,
    {
      type: "relation",
      xid: 0,
      oid: 16_385,
      schema: "public",
      name: "items",
      identity: "default",
      columns: [
        { name: "id", typeOid: 23, typeModifier: -1, isKey: true },
        { name: "näme", typeOid: 1043, typeModifier: 54, isKey: false },
      ],
    },
  ],
  [
    "Relation of pg_catalog, in a stream",
    hex("52", XID, TABLE, "00", text("x"), "66 0000"),
    true,
    {
      type: "relation",
      xid: 769,
      oid: 16_385,
      schema: "pg_catalog",
      name: "x",
      identity: "full",
      columns: [],
    },
  ],
  [
    "Type",
    hex("59", TABLE, text("public"), text("mood")),
    false,
    { type: "type", xid: 0, oid: 16_385, schema: "public", name: "mood" },
  ],
  [
    "Insert: text, null, unchanged, empty",
    hex("49", TABLE, "4e 0004", "74 00000003 6f6e65", "6e", "75", "74 00000000"),
    false,
    { type: "insert", xid: 0, relationOid: 16_385, row: [one, null, UNCHANGED, Buffer.alloc(0)] },
  ],
  [
    "Update without the old row",
    hex("55", TABLE, "4e 0001 74 00000003 6f6e65"),
    false,
    {
      type: "update",
      xid: 0,
      relationOid: 16_385,
      before: undefined,
      beforeIs: undefined,
      row: [one],
    },
  ],
  [
    "Update with the old key, in a stream",
    hex("55", XID, TABLE, "4b 0001 6e 4e 0001 75"),
    true,
    {
      type: "update",
      xid: 769,
      relationOid: 16_385,
      before: [null],
      beforeIs: "key",
      row: [UNCHANGED],
    },
  ],
  [
    "Update with the old row",
    hex("55", TABLE, "4f 0001 6e 4e 0001 6e"),
    false,
    { type: "update", xid: 0, relationOid: 16_385, before: [null], beforeIs: "full", row: [null] },
  ],
  [
    "Delete by key",
    hex("44", TABLE, "4b 0001 74 00000003 6f6e65"),
    false,
    { type: "delete", xid: 0, relationOid: 16_385, beforeIs: "key", before: [one] },
  ],
  [
    "Delete of a whole row",
    hex("44", XID, TABLE, "4f 0000"),
    true,
    { type: "delete", xid: 769, relationOid: 16_385, beforeIs: "full", before: [] },
  ],
  [
    "Truncate: count, options, tables",
    hex("54 00000002 03", TABLE, "00004002"),
    false,
    {
      type: "truncate",
      xid: 0,
      relationOids: [16_385, 16_386],
      cascade: true,
      restartIdentity: true,
    },
  ],
  [
    "Message: flags, position, prefix, content",
    hex("4d 01", LSN, text("p"), "00000003 6f6e65"),
    false,
    { type: "message", xid: 0, transactional: true, lsn, prefix: "p", content: one },
  ],
  [
    "Message in a stream",
    hex("4d", XID, "00", LSN, text(""), "00000000"),
    true,
    { type: "message", xid: 769, transactional: false, lsn, prefix: "", content: Buffer.alloc(0) },
  ],
  ["Stream Start", hex("53", XID, "01"), false, { type: "stream_start", xid: 769, isFirst: true }],
  ["Stream Stop", hex("45"), true, { type: "stream_stop" }],
  [
    "Stream Commit",
    hex("63", XID, "00", LSN, LSN, TIME),
    false,
    { type: "stream_commit", xid: 769, commitLsn: lsn, endLsn: lsn, committedAtMs: TIME_MS },
  ],
  [
    "Stream Abort",
    hex("41", XID, "00000302"),
    false,
    { type: "stream_abort", xid: 769, subxid: 770 },
  ],
];

await t.test("every message is read as documented", (test) => {
  for (const [name, bytes, inStream, message] of MESSAGES) {
    test.same(decode(bytes, inStream), message, name);
  }
  test.end();
});

function refused(bytes: Buffer, inStream: boolean): boolean {
  try {
    decode(bytes, inStream);
    return false;
  } catch (error) {
    if (error instanceof CodedError && error.code === "protocol_violation") return true;
    throw error;
  }
}

await t.test("a message cut short or with bytes to spare is refused", (test) => {
  for (const [name, bytes, inStream] of MESSAGES) {
    for (let end = 0; end < bytes.length; end++) {
      if (!refused(bytes.subarray(0, end), inStream)) test.fail(`${name} cut at ${end}`);
    }
    test.ok(refused(Buffer.concat([bytes, Buffer.from([0])]), inStream), name);
  }
  const wrong = [
    hex("5a"),
    hex("49", TABLE, "4b 0000"),
    hex("49", TABLE, "4e 0001 62 00000000"),
    hex("49", TABLE, "4e 0001 74 ffffffff"),
    hex("49", TABLE, "4e ffff"),
    hex("55", TABLE, "58 0000"),
    hex("44", TABLE, "4e 0000"),
    hex("43 01", LSN, LSN, TIME),
    hex("52", TABLE, text("a"), text("b"), "78 0000"),
    hex("54 7fffffff 00"),
  ];
  for (const bytes of wrong) test.ok(refused(bytes, false), bytes.toString("hex"));
  test.end();
});

await t.test("no bytes do more than be refused", (test) => {
  const types = fc.constantFrom(...Buffer.from("BCORYIUDTMSEcAKxyz"));
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 200 }), fc.boolean(), (type, rest, inStream) => {
      refused(Buffer.concat([Buffer.of(type), rest]), inStream);
    }),
    { numRuns: 5_000 },
  );
  const known = fc.constantFrom(...MESSAGES);
  fc.assert(
    fc.property(known, fc.nat(), fc.nat(255), ([, bytes, inStream], at, value) => {
      const changed = Buffer.from(bytes);
      changed[at % changed.length] = value;
      refused(changed, inStream);
    }),
    { numRuns: 5_000 },
  );
  test.end();
});

await t.test("rows come back as they were written", (test) => {
  const value = fc.oneof(
    fc.constant(null),
    fc.constant(UNCHANGED),
    fc.uint8Array({ maxLength: 40 }),
  );
  fc.assert(
    fc.property(
      fc.array(value, { maxLength: 30 }),
      fc.nat(0xffffffff),
      fc.boolean(),
      (row, oid, inStream) => {
        const parts: Buffer[] = [Buffer.from("I")];
        if (inStream) parts.push(hex(XID));
        const head = Buffer.alloc(7);
        head.writeUInt32BE(oid, 0);
        head.write("N", 4);
        head.writeUInt16BE(row.length, 5);
        parts.push(head);
        for (const each of row) {
          if (each === null) parts.push(Buffer.from("n"));
          else if (each === UNCHANGED) parts.push(Buffer.from("u"));
          else {
            const size = Buffer.alloc(5, "t");
            size.writeUInt32BE(each.length, 1);
            parts.push(size, Buffer.from(each));
          }
        }
        const message = decode(Buffer.concat(parts), inStream);
        if (message.type !== "insert" || message.relationOid !== oid) return false;
        return message.row.every((got, index) => {
          const sent = row[index];
          if (Buffer.isBuffer(got))
            return sent instanceof Uint8Array && got.equals(Buffer.from(sent));
          return got === sent;
        });
      },
    ),
  );
  test.end();
});

await t.test("what wraps the messages is read and written as documented", (test) => {
  const data = hex("77", LSN, LSN, TIME, "42");
  test.same(decodeWalMessage(data, 0, data.length), { type: "data", start: 25 });
  const keepalive = hex("6b", LSN, TIME, "01");
  test.same(decodeWalMessage(keepalive, 0, keepalive.length), {
    type: "keepalive",
    sentLsn: lsn,
    wantsReply: true,
  });
  for (const bytes of [hex("77 00"), hex("6b", LSN), hex("78"), Buffer.alloc(0)]) {
    test.throws(() => decodeWalMessage(bytes, 0, bytes.length), { code: "protocol_violation" });
  }
  const status = standbyStatusMessage({
    written: lsn,
    flushed: 1n as Lsn,
    nowMs: TIME_MS,
    wantsReply: true,
  });
  const one64 = "00000000 00000001";
  test.same(status, hex("64 00000026 72", LSN, one64, one64, TIME, "01"));
  test.end();
});
