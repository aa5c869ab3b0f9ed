import fc from "fast-check";
import t from "tap";
import { openAnalyser } from "../../src/sql/analyser.ts";
import {
  batch,
  bind,
  close,
  copyData,
  copyDone,
  describe,
  execute,
  flush,
  frame,
  parse,
  query,
  sync,
} from "../proxy/raw-messages.ts";
import { endOf, openReplay } from "./conversation-replay.ts";
import type { Replay } from "./conversation-replay.ts";
import { readTranscripts } from "./conversation-transcript.ts";
import type { Transcript } from "./conversation-transcript.ts";

const analyser = await openAnalyser();
const transcripts = readTranscripts();

/** What one end says until the other does. */
type Turn = { readonly from: "frontend" | "backend"; readonly bytes: Buffer };

function turnsOf({ frames }: Transcript): Turn[] {
  const turns: Turn[] = [];
  for (const { from, bytes } of frames) {
    const last = turns.at(-1);
    if (last?.from !== from) turns.push({ from, bytes });
    else turns.splice(-1, 1, { from, bytes: Buffer.concat([last.bytes, bytes]) });
  }
  return turns;
}

/** @param cut where to cut a turn of so many bytes */
function replay(turns: readonly Turn[], cut: (size: number) => readonly number[]): Replay {
  const played = openReplay(analyser);
  for (const { from, bytes } of turns) {
    let begin = 0;
    for (const end of [...new Set([...cut(bytes.length), bytes.length])].toSorted(
      (a, b) => a - b,
    )) {
      played[from](bytes.subarray(begin, end));
      begin = end;
    }
  }
  return played;
}

await t.test("any cutting of a recorded conversation is understood alike", async (test) => {
  test.ok(transcripts.length >= 12, `${transcripts.length} conversations`);
  for (const transcript of transcripts) {
    const turns = turnsOf(transcript);
    const whole = endOf(replay(turns, () => []));
    const bytewise = replay(turns, (size) => Array.from({ length: size }, (_, at) => at));
    test.strictSame(endOf(bytewise), whole, `${transcript.name}: byte by byte`);
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
        (places) => {
          const cut = (size: number): number[] => places.map((place) => Math.floor(place * size));
          const pieces = endOf(replay(turns, cut));
          if (JSON.stringify(pieces) !== JSON.stringify(whole))
            test.strictSame(pieces, whole, transcript.name);
        },
      ),
      { numRuns: 60 },
    );
  }
});

/** Conversations that misuse the protocol, or execute a portal that is not there: nobody knows what that was. */
const UNCERTAIN = new Set([
  "14 named and unnamed statements and portals",
  "16 a Query inside an unfinished batch",
  "18 Execute with a row limit taken up again",
]);

await t.test(
  "after every recorded conversation the session is at rest, each answer with its question",
  async (test) => {
    for (const transcript of transcripts) {
      const { name } = transcript;
      const turns = turnsOf(transcript);
      const played = replay(turns, () => []);
      test.ok(played.log.idle, `${name}: nothing is under way`);
      test.notOk(played.log.unpaired, `${name}: every answer has its question`);
      test.equal(played.log.confused, UNCERTAIN.has(name), `${name}: the state is certain`);
      const failed = transcript.frames.filter(
        ({ from, bytes }) => from === "backend" && bytes[0] === 0x45,
      );
      const failures = played.exchanges.filter((exchange) => exchange.failed);
      test.equal(failures.length, failed.length, `${name}: each error is an exchange's`);
    }
  },
);

const COMPLETE = frame("C", "SELECT 1\0");
const ready = (status: "I" | "T" | "E"): Buffer => frame("Z", status);
const [parsed, bound] = [frame("1"), frame("2")];
const failure = frame("E", "SERROR\0C42601\0Msyntax error\0\0");
const copyIn = frame("G", "\0\0\0");

/** What is said in turn: client's frames in `>`, server's in `<`. */
type Said = readonly ["<" | ">", ...Buffer[]];

function after(...said: readonly Said[]): Replay {
  const played = openReplay(analyser);
  for (const [sign, ...frames] of said) {
    played[sign === ">" ? "frontend" : "backend"](Buffer.concat(frames));
  }
  return played;
}

const names = (played: Replay): string[] =>
  [...played.prepared.confirmed()].map(({ name }) => name);

await t.test("what was prepared before a Flush stays prepared", async (test) => {
  // ParseComplete came before the Sync that ends the batch, and was taken for nobody's.
  const played = after(
    [">", parse("kept", "select 1"), flush],
    ["<", parsed],
    [">", bind("", "kept"), execute(""), sync],
    ["<", bound, frame("D", "\0\0"), COMPLETE, ready("I")],
  );
  test.strictSame(names(played), ["kept"]);
  test.equal(
    played.exchanges[0]?.answer,
    Buffer.concat([parsed, bound, frame("D", "\0\0"), COMPLETE, ready("I")]).toString("hex"),
  );
});

await t.test("after a COPY nothing of it is left in the session", async (test) => {
  // Its data counted as the beginning of a next request: the session was never quiet again.
  const played = after(
    [">", query("copy inbox from stdin")],
    ["<", copyIn],
    [">", copyData("x".repeat(50_000)), copyDone],
    ["<", frame("C", "COPY 1\0"), ready("I")],
  );
  test.ok(played.log.idle);
  test.ok(played.requests.atBoundary);
  played.frontend(query("select 1"));
  played.backend(Buffer.concat([COMPLETE, ready("I")]));
  test.equal(played.exchanges[1]?.frames, query("select 1").toString("hex"));
});

await t.test("a COPY too large to keep leaves the next request as it is", async (test) => {
  const played = openReplay(analyser, { keepBytes: 10_000 });
  played.frontend(query("copy inbox from stdin"));
  played.backend(copyIn);
  for (let piece = 0; piece < 10; piece++) played.frontend(copyData("x".repeat(50_000)));
  played.frontend(copyDone);
  played.backend(Buffer.concat([frame("C", "COPY 1\0"), ready("I")]));
  played.frontend(query("select 1"));
  played.backend(Buffer.concat([COMPLETE, ready("I")]));
  test.equal(played.exchanges[1]?.frames, query("select 1").toString("hex"));
});

await t.test("a refused Parse does not hide a later one of the same name", async (test) => {
  // Both were sent before the first was refused; the later is what the server has.
  const played = after(
    [">", parse("", "selec 1"), sync, parse("", "select $1 + 1"), sync],
    ["<", failure, ready("I"), parsed, ready("I")],
    [">", bind("", "", ["1"]), execute(""), sync],
  );
  played.backend(Buffer.concat([bound, COMPLETE, ready("I")]));
  test.strictSame(played.exchanges[2]?.statements, ["select $1 + $2"]);
});

await t.test("a value too large to be read does not hide whose it is", async (test) => {
  // The portal kept the statement it was bound to before, and so that was taken to run.
  const large = "x".repeat(3_000_000);
  const played = after([">", parse("", "select 1"), bind("", ""), execute(""), sync]);
  played.backend(Buffer.concat([parsed, bound, COMPLETE, ready("I")]));
  const bytes = Buffer.concat([
    parse("writes", "insert into inbox values ($1)"),
    bind("", "writes", [large]),
    execute(""),
    sync,
  ]);
  // The names may come in pieces.
  for (let at = 0; at < 200; at++) played.frontend(bytes.subarray(at, at + 1));
  for (let at = 200; at < bytes.length; at += 60_001)
    played.frontend(bytes.subarray(at, at + 60_001));
  played.backend(Buffer.concat([parsed, bound, COMPLETE, ready("I")]));
  test.match(played.exchanges[1], {
    asked: "batch",
    statements: ["insert into inbox values ($1)"],
  });
  test.notOk(played.log.confused);
});

await t.test("a text too large to be read takes the place of the one before", async (test) => {
  const played = after([">", parse("", "select 1"), sync]);
  played.backend(Buffer.concat([parsed, ready("I")]));
  const bytes = Buffer.concat([
    parse("", `insert into inbox values ('${"x".repeat(2_000_000)}')`),
    sync,
  ]);
  for (let at = 0; at < bytes.length; at += 65_536)
    played.frontend(bytes.subarray(at, at + 65_536));
  played.backend(Buffer.concat([parsed, ready("I")]));
  played.frontend(Buffer.concat([bind("", ""), execute(""), sync]));
  played.backend(Buffer.concat([bound, COMPLETE, ready("I")]));
  test.match(played.exchanges[2], { asked: "batch obscure", statements: [] });
});

await t.test("portals end with their transaction", async (test) => {
  const played = after(
    [">", query("begin")],
    ["<", frame("C", "BEGIN\0"), ready("T")],
    [">", parse("", "select 1"), bind("p", ""), execute("p", 1), sync],
    ["<", parsed, bound, frame("s"), ready("T")],
    [">", execute("p", 1), sync],
    ["<", COMPLETE, ready("T")],
    [">", query("commit")],
    ["<", frame("C", "COMMIT\0"), ready("I")],
    [">", execute("p", 1), sync],
    ["<", failure, ready("I")],
  );
  test.strictSame(
    played.exchanges.map(({ asked, statements }) => [asked, ...statements]),
    [
      ["query", "begin"],
      ["batch", "select $1"],
      ["batch", "select $1"],
      ["query", "commit"],
      ["batch obscure"],
    ],
  );
});

/** Which ReadyForQuery belongs to which Sync is not said; what follows must be told apart all the same. */
const DOUBTFUL: readonly [why: string, ...Said[]][] = [
  [
    "COPY succeeds: one Sync was skipped",
    [">", batch("copy inbox from stdin"), sync, copyData("1\n"), copyDone, sync],
    ["<", parsed, bound, frame("n"), copyIn, frame("C", "COPY 1\0"), ready("I")],
  ],
  [
    "COPY fails in mid-data: one Sync was skipped",
    [">", batch("copy inbox from stdin"), sync, copyData("x\n"), copyDone, sync],
    ["<", parsed, bound, frame("n"), copyIn, failure, ready("I")],
  ],
  [
    "COPY fails before it reads anything: both are answered",
    [">", batch("copy inbox from stdin"), sync, copyData("x\n"), copyDone, sync],
    ["<", parsed, bound, frame("n"), copyIn, failure, ready("I"), ready("I")],
  ],
  [
    "COPY is refused: both are answered",
    [">", batch("copy missing from stdin"), sync, copyData("x\n"), copyDone, sync],
    ["<", parsed, bound, frame("n"), failure, ready("I"), ready("I")],
  ],
  [
    "a batch fails and its Query is skipped",
    [">", batch("select 1/0"), query("select 2"), sync],
    ["<", parsed, bound, failure, ready("I")],
  ],
  [
    "the Query of a batch fails",
    [">", batch("select 1"), query("select 1/0"), sync],
    ["<", parsed, bound, COMPLETE, failure, ready("I"), ready("I")],
  ],
];

await t.test(
  "answers are told apart after a Sync that may not have been answered",
  async (test) => {
    for (const [why, ...said] of DOUBTFUL) {
      for (const ahead of [false, true]) {
        const next: readonly [Said, Said] = [
          [">", query("select 'next'"), sync, query("select 'last'")],
          ["<", COMPLETE, ready("I"), ready("I"), frame("C", "SELECT 7\0"), ready("I")],
        ];
        const [asked, answer] = said as [Said, Said];
        const order = ahead ? [asked, next[0], answer, next[1]] : [asked, answer, ...next];
        const played = after(...order);
        const { log, exchanges } = played;
        test.ok(log.idle && !log.unpaired, `${why}${ahead ? ", sent ahead" : ""}: at rest`);
        test.equal(
          exchanges.at(-1)?.answer,
          Buffer.concat([frame("C", "SELECT 7\0"), ready("I")]).toString("hex"),
          `${why}${ahead ? ", sent ahead" : ""}: the last answer is the last question's`,
        );
      }
    }
  },
);

await t.test("an answer that nobody asked for makes the session uncertain", async (test) => {
  const { log } = after([">", query("select 1")], ["<", COMPLETE, ready("I"), ready("I")]);
  test.ok(log.unpaired && log.confused);
});

await t.test("a batch of a hundred thousand statements is read in its own time", async (test) => {
  // Each Bind looked through all the batch's Parse messages: hours for this one.
  const played = openReplay(analyser);
  for (let n = 0; n < 100_000; n++) {
    played.frontend(
      Buffer.concat([parse(`s${n % 500}`, "select 1"), bind("", `s${n % 500}`), execute("")]),
    );
  }
  played.frontend(Buffer.concat([close("S", "s1"), describe("S", "s2"), sync]));
  played.backend(Buffer.concat([failure, ready("I")]));
  test.equal(played.exchanges[0]?.statements.length, 100_000);
  test.ok(played.log.idle);
});
