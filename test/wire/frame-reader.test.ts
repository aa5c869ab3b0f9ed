import fc from "fast-check";
import t from "tap";
import { describeFault, FrameReader, typeFlags } from "../../src/wire/postgres/frame-reader.ts";

type Seen =
  | { readonly type: string; readonly body: string }
  | { readonly large: string; size: number };

const LIMITS = {
  wholeBytes: 64,
  interesting: typeFlags("QDZ"),
  known: typeFlags("QDZX"),
  maxBodyBytes: 1_000,
};

function frame(type: string, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, 0, "latin1");
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const place of [...at, bytes.length]) {
    pieces.push(bytes.subarray(from, place));
    from = place;
  }
  return pieces;
}

/** Feeds every piece through one reused buffer, as the network does. */
function read(pieces: readonly Buffer[]): { seen: Seen[]; ends: number[]; reader: FrameReader } {
  const seen: Seen[] = [];
  const ends: number[] = [];
  let before = 0;
  const reader = new FrameReader(LIMITS, {
    frame: (type, bytes, start, end) => {
      seen.push({
        type: String.fromCharCode(type),
        body: bytes.toString("latin1", start + 5, end),
      });
      ends.push(before + reader.position);
    },
    largeFrame: (type, size) => {
      seen.push({ large: String.fromCharCode(type), size });
      ends.push(before + reader.position);
    },
  });
  const shared = Buffer.alloc(4_096);
  for (const piece of pieces) {
    piece.copy(shared);
    const taken = reader.push(shared, 0, piece.length);
    if (taken < 0) break;
    before += piece.length;
    shared.fill(0xee);
  }
  return { seen, ends, reader };
}

const frames = fc.array(
  fc.tuple(fc.constantFrom("Q", "D", "Z", "X"), fc.uint8Array({ maxLength: 120, size: "max" })),
  { maxLength: 12 },
);

await t.test("any cutting of a stream gives the same frames at the same places", async (test) => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(2_000), { maxLength: 12 }), (list, places) => {
      const bytes = Buffer.concat(list.map(([type, body]) => frame(type, body)));
      const whole = read([bytes]);
      const pieces = read(cut(bytes, places));
      test.strictSame(pieces.seen, whole.seen);
      test.strictSame(pieces.ends, whole.ends);
      test.ok(pieces.reader.atBoundary);
    }),
    { numRuns: 500 },
  );
});

await t.test("frames are handed over whole, uninteresting ones are stepped over", async (test) => {
  const { seen } = read([
    Buffer.concat([
      frame("Q", Buffer.from("select 1\0")),
      frame("X", Buffer.from("not asked for")),
      frame("D", Buffer.alloc(100, "x")),
      frame("Z", Buffer.from("I")),
    ]),
  ]);
  test.strictSame(seen, [
    { type: "Q", body: "select 1\0" },
    { large: "D", size: 105 },
    { type: "Z", body: "I" },
  ]);
});

await t.test("a broken stream is named and takes nothing more", async (test) => {
  const rows = [
    { bytes: "ff00000004", says: "invalid backend message type 0xff" },
    { bytes: "5100000003", says: 'invalid length 3 of backend message type "Q"' },
    { bytes: "51ffffffff", says: 'invalid length 4294967295 of backend message type "Q"' },
    { bytes: "5100001000", says: 'invalid length 4096 of backend message type "Q"' },
  ];
  for (const { bytes, says } of rows) {
    const all = Buffer.from(bytes, "hex");
    for (const pieces of [[all], [...all].map((byte) => Buffer.from([byte]))]) {
      const { reader, seen } = read(pieces);
      test.equal(reader.fault === undefined ? "" : describeFault(reader.fault, "backend"), says);
      test.strictSame(seen, []);
      test.equal(reader.push(frame("Q", Buffer.from("\0")), 0, 6), -1);
    }
  }
});

await t.test("a halted reader leaves the rest untaken", async (test) => {
  const bytes = Buffer.concat([frame("Q", Buffer.from("a\0")), frame("Q", Buffer.from("b\0"))]);
  const seen: string[] = [];
  const reader = new FrameReader(LIMITS, {
    frame: (_type, buffer, start, end) => {
      seen.push(buffer.toString("latin1", start + 5, end - 1));
      reader.halt();
    },
    largeFrame: () => {},
  });
  const first = reader.push(bytes, 0, bytes.length);
  test.equal(first, 7);
  test.equal(reader.push(bytes, first, bytes.length), bytes.length);
  test.strictSame(seen, ["a", "b"]);
});
