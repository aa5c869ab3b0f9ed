import { randomInt } from "node:crypto";
import process from "node:process";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { openAnalyser } from "../../src/sql/analyser.ts";
import { openReplay } from "../wire/conversation-replay.ts";
import type { Replay } from "../wire/conversation-replay.ts";
import { readTranscripts } from "../wire/conversation-transcript.ts";
import { parse } from "./raw-messages.ts";

const MUTATED_FRAMES = 100_000;
/** What the process may hold more at the end than at the beginning, in MB. */
const BOUND_MB = 64;

/** Run again with `TWINWIRE_SEED` to see the same bytes. */
const seed = Number(process.env["TWINWIRE_SEED"] ?? randomInt(2 ** 31));
t.comment(`TWINWIRE_SEED=${seed}`);

/** What all sessions remember together has bounds of its own, here small ones. */
const analyser = await openAnalyser({ maxShapes: 500, maxCacheBytes: 4_000_000 });
const frames = readTranscripts().flatMap((transcript) => transcript.frames);
const said = {
  frontend: frames.filter(({ from }) => from === "frontend").map(({ bytes }) => bytes),
  backend: frames.filter(({ from }) => from === "backend").map(({ bytes }) => bytes),
};
type End = keyof typeof said;

/** Mulberry32: numbers below `limit` that look random and come again with the same seed. */
function numbers(start: number): (limit: number) => number {
  let state = start;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

const random = numbers(seed);
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;

/** Each makes one frame into something else. */
const MUTATIONS: Readonly<Record<string, (frame: Buffer, from: End) => Buffer>> = {
  flipBits(frame) {
    for (let flips = 1 + random(4); flips > 0; flips--) {
      const at = random(frame.length);
      frame[at] = (frame[at] as number) ^ (1 << random(8));
    }
    return frame;
  },
  /** The header stays, so that what is behind it is looked at. */
  scrambleBody(frame) {
    for (let changes = 1 + random(6); changes > 0 && frame.length > 5; changes--) {
      frame[5 + random(frame.length - 5)] = pick([0, 0xff, random(256), 0x24, 0x27]);
    }
    return frame;
  },
  otherLength(frame) {
    const length = frame.readUInt32BE(1);
    frame.writeUInt32BE(
      pick([0, 3, 4, 5, length - 1, length + 1, 70_000, 0x3fffffff, 2 ** 31, 2 ** 32 - 1]),
      1,
    );
    return frame;
  },
  otherType(frame) {
    frame[0] = pick([
      random(256),
      pick(said.frontend)[0] as number,
      pick(said.backend)[0] as number,
    ]);
    return frame;
  },
  /** Shorter than its length says: what follows becomes part of it. */
  truncate: (frame) => frame.subarray(0, random(frame.length)),
  /** Shorter, and its length says so. */
  shrink(frame) {
    const shorter = frame.subarray(0, 5 + random(frame.length - 4));
    shorter.writeUInt32BE(shorter.length - 1, 1);
    return shorter;
  },
  duplicate: (frame) => Buffer.concat(Array.from({ length: 2 + random(3) }, () => frame)),
  splice(frame, from) {
    const other = pick(said[from]);
    const spliced = Buffer.concat([
      frame.subarray(0, 5 + random(frame.length - 4)),
      other.subarray(random(other.length)),
    ]);
    spliced.writeUInt32BE(Math.max(4, spliced.length - 1), 1);
    return spliced;
  },
  wrongWay: (_frame, from) => Buffer.from(pick(said[from === "frontend" ? "backend" : "frontend"])),
  enlarge(frame) {
    const body = Buffer.alloc(pick([300, 20_000, 70_000]), pick([0, 0x20, 0x41, 0xff]));
    const larger = Buffer.concat([frame, body]);
    larger.writeUInt32BE(larger.length - 1, 1);
    return larger;
  },
};
const kinds = Object.keys(MUTATIONS);
/** After these the frames go on, so that a session lives to see many of them. */
const gentle = ["scrambleBody", "shrink", "duplicate", "enlarge"];

/** Feeds bytes in pieces, as the network would. @returns false once the end has broken the protocol. */
function feed(replay: Replay, from: End, bytes: Buffer): boolean {
  let at = 0;
  while (at < bytes.length) {
    const end = Math.min(bytes.length, at + (random(3) === 0 ? 1 + random(20) : 60_000));
    if (!replay[from](bytes.subarray(at, end))) return false;
    at = end;
  }
  return true;
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

async function heldMegabytes(): Promise<number> {
  // Buffers are freed a little after what refers to them.
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await turn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

await t.test("no mutated frame makes a reader throw, or keep more than it may", async (test) => {
  let mutated = 0;
  let last = "";
  const used = new Map<string, number>();
  const play = (): void => {
    // Small limits, so that they are met.
    const replay = openReplay(analyser, { keepBytes: 20_000, captureBytes: 4_000 });
    const possible = random(10) === 0 ? gentle : kinds;
    for (let frame = 0; frame < 400 && mutated < MUTATED_FRAMES; frame++) {
      const from: End = random(2) === 0 ? "frontend" : "backend";
      let bytes: Buffer = Buffer.from(pick(said[from]));
      if (random(3) > 0) {
        const kind = pick(possible);
        bytes = MUTATIONS[kind]?.(bytes, from) ?? bytes;
        used.set(kind, (used.get(kind) ?? 0) + 1);
        mutated++;
        last = `${kind} of a ${from}'s frame: ${bytes.toString("hex", 0, 300)}`;
      }
      if (!feed(replay, from, bytes)) return;
    }
  };
  play();
  mutated = 0;
  const before = await heldMegabytes();
  try {
    while (mutated < MUTATED_FRAMES) play();
  } catch (error) {
    test.fail(`${(error as Error).stack} after ${mutated}: ${last}`);
  }
  const grown = (await heldMegabytes()) - before;
  test.ok(grown < BOUND_MB, `${mutated} mutated frames, ${grown.toFixed(1)} MB more than before`);
  test.strictSame(
    [...used.keys()].toSorted(),
    kinds.toSorted(),
    JSON.stringify(Object.fromEntries(used)),
  );
});

await t.test(
  "one session holds no more than its bounds, however long nonsense goes on",
  async (test) => {
    // No Sync and no ReadyForQuery: a batch without an end, and answers that nobody asked for.
    const goesOn = ({ bytes }: { readonly bytes: Buffer }, types: string): boolean =>
      types.includes(String.fromCharCode(bytes[0] as number));
    const asked = frames.filter((frame) => frame.from === "frontend" && goesOn(frame, "BDEHPCdc"));
    const told = frames.filter((frame) => frame.from === "backend" && !goesOn(frame, "Z"));
    const parsed = Buffer.from(parse("", `select '${"x".repeat(50_000)}'`));
    const replay = openReplay(analyser, { keepBytes: 20_000, captureBytes: 4_000 });
    const before = await heldMegabytes();
    for (let sent = 0; sent < 200_000; sent++) {
      const { from, bytes } = pick(random(2) === 0 ? asked : told);
      replay[from](bytes);
      // Each of another text, or one would be kept for all of them.
      parsed.writeUInt32LE(sent, 20);
      if (sent % 10 === 0) replay.frontend(parsed);
    }
    const grown = (await heldMegabytes()) - before;
    test.ok(grown < BOUND_MB, `${grown.toFixed(1)} MB more than before`);
    test.ok(replay.requests.batchOpen && !replay.log.busy);
  },
);
