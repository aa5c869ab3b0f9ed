import process from "node:process";
import t from "tap";
import { startPostgres } from "../../src/cli/demo/embedded-postgres.ts";
import { ask, framesOf, masked } from "../proxy/raw-compare.ts";
import { conversations } from "../proxy/raw-conversations.ts";
import { cancelRaw, openRaw } from "../proxy/raw-session.ts";
import { FIXTURE } from "../proxy/raw-talk.ts";
import type { Conversation } from "../proxy/raw-talk.ts";
import { format, readTranscripts, writeTranscript } from "./conversation-transcript.ts";
import type { RecordedFrame, Transcript } from "./conversation-transcript.ts";

/** Which conversations are kept of which server; each kind once, spread over the versions. */
const KEPT = {
  14: ["errors in the middle of a Query", "COPY IN", "named and unnamed statements and portals"],
  16: [
    "several statements in one Query",
    "Flush without Sync",
    "an error skips to Sync and batches behind it run",
    "COPY IN by the extended protocol Sync twice as libpq does",
    "COPY data sent ahead of the answer",
    "the server refuses COPY IN",
    "transactions that fail",
    "a Query inside an unfinished batch",
    "LISTEN and NOTIFY",
  ],
  18: [
    "many batches in one write",
    "Execute with a row limit taken up again",
    "COPY IN by the extended protocol with Flush and one Sync",
    "ParameterStatus",
    "cursors",
    "function calls",
    "COPY OUT",
  ],
} as const;

/** With `TWINWIRE_RECORD=1` the files are written anew instead of being compared. */
const records = process.env["TWINWIRE_RECORD"] === "1";

const fileName = (name: string): string => name.replaceAll(",", "");

/** Plays a conversation; what its first session said and heard. */
async function record(port: number, conversation: Conversation): Promise<RecordedFrame[]> {
  const frames: RecordedFrame[] = [];
  const pending = { frontend: Buffer.alloc(0), backend: Buffer.alloc(0) };
  const heard = (from: RecordedFrame["from"], bytes: Buffer): void => {
    const all = Buffer.concat([pending[from], bytes]);
    let upTo = 0;
    for (const { start, end } of framesOf(all)) {
      frames.push({ from, bytes: masked(all.subarray(start, end)) });
      upTo = end;
    }
    pending[from] = all.subarray(upTo);
  };
  let opened = 0;
  await conversation.play({
    open: (startup) => openRaw(port, opened++ === 0 ? { ...startup, heard } : startup),
    cancel: (key) => cancelRaw(port, key),
    ask: async () => [],
    until: async () => {},
  });
  return frames;
}

for (const major of [14, 16, 18] as const) {
  await t.test(`PostgreSQL ${major} still says what was recorded of it`, async (test) => {
    const server = await startPostgres({ major, hba: "host all all 127.0.0.1/32 trust" });
    test.teardown(() => server.stop());
    await ask(server, FIXTURE);
    const kept = new Map(readTranscripts().map((transcript) => [transcript.name, transcript]));
    for (const name of KEPT[major]) {
      const conversation = conversations.find((each) => fileName(each.name) === name);
      if (conversation === undefined) throw new Error(`there is no conversation named ${name}`);
      const now: Transcript = {
        name: `${major} ${name}`,
        frames: await record(server.port, conversation),
      };
      if (records) writeTranscript(now);
      const before = kept.get(now.name) ?? { ...now, frames: [] };
      if (!records) test.equal(format(now), format(before), name);
    }
  });
}
