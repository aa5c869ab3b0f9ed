import t from "tap";
import {
  bindParts,
  bindResultFormats,
  closeParts,
  describedStatement,
  executeParts,
  parseParts,
  queryText,
} from "../../src/wire/postgres/frontend-frames.ts";

/** A frame from hex, with its length filled in. */
function frame(type: string, bodyHex: string): Buffer {
  const body = Buffer.from(bodyHex.replaceAll(/\s/g, ""), "hex");
  const header = Buffer.alloc(5);
  header.write(type, 0, "latin1");
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

const BIND = frame(
  "B",
  [
    "70 00", // portal p
    "73 00", // statement s
    "0001 0001", // one parameter format: binary
    "0002", // two parameters
    "00000004 00000007",
    "ffffffff", // the second is NULL
    "0002 0001 0000", // result formats: binary, then text
  ].join(""),
);

await t.test("the parts of a Bind are found", async (test) => {
  test.strictSame(bindParts(BIND, 0, BIND.length), { portal: "p", statement: "s" });
  test.strictSame(bindResultFormats(BIND, 0, BIND.length), [1, 0]);
});

await t.test("a frame cut anywhere is not understood and harms nothing", async (test) => {
  for (let end = 5; end < BIND.length; end++) {
    const cut = Buffer.from(BIND.subarray(0, end));
    test.equal(bindResultFormats(cut, 0, end), undefined, `cut at ${end}`);
  }
  test.equal(queryText(frame("Q", "73656c"), 0, 8), undefined, "no terminator");
  test.equal(queryText(frame("Q", "73 00 00"), 0, 8), undefined, "two terminators");
  test.equal(parseParts(frame("P", "00 73 00"), 0, 8), undefined, "no parameter count");
  test.equal(executeParts(frame("E", "00 0000"), 0, 8), undefined, "half a row limit");
  test.equal(closeParts(frame("C", "58 00"), 0, 7), undefined, "neither statement nor portal");
});

await t.test("names are taken as bytes, whatever the client's encoding", async (test) => {
  const close = frame("C", "53 fce9 00");
  test.strictSame(closeParts(close, 0, close.length), { what: "statement", name: "\u00fc\u00e9" });
  const describe = frame("D", "53 6e 00");
  test.equal(describedStatement(describe, 0, describe.length), "n");
  const portal = frame("D", "50 6e 00");
  test.equal(describedStatement(portal, 0, portal.length), undefined);
});
