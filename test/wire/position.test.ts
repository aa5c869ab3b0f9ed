import fc from "fast-check";
import t from "tap";
import type { Lsn } from "../../src/wire/position.ts";
import { formatPosition, parseLsn } from "../../src/wire/position.ts";

await t.test("a log position is read as pg_lsn prints it", async (test) => {
  const rows: [text: string, lsn: bigint | undefined][] = [
    ["0/0", 0n],
    ["16/B374D848", 0x16b374d848n],
    ["FFFFFFFF/FFFFFFFF", 0xffffffffffffffffn],
    ["1/2/3", undefined],
    ["100000000/0", undefined],
    ["/1", undefined],
    ["", undefined],
  ];
  for (const [text, lsn] of rows) test.equal(parseLsn(text), lsn, text);
});

await t.test("reading what was printed gives the same position", async (test) => {
  fc.assert(
    fc.property(fc.bigInt(0n, 0xffffffffffffffffn), (value) => {
      const lsn = value as Lsn;
      test.equal(parseLsn(formatPosition({ kind: "lsn", lsn })), lsn);
    }),
  );
});

await t.test("positions of other engines are kept as they print them", async (test) => {
  test.equal(formatPosition({ kind: "gtid_set", set: "3e11fa47:1-5" }), "3e11fa47:1-5");
  test.equal(formatPosition({ kind: "mariadb_gtid", gtid: "0-1-70" }), "0-1-70");
});
