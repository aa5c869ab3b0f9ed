/** The parts of rehearsing that need no server: who has written what, and where sequences go back to. */
import t from "tap";
import { KeptSequences } from "../../src/mirror/kept-sequences.ts";
import { ANY_TABLE } from "../../src/mirror/drifted-tables.ts";
import { TableActivity } from "../../src/mirror/table-activity.ts";

await t.test("a table is quiet while nobody else writes it, and some time after", (test) => {
  const activity = new TableActivity(0);
  const [writer, other] = [{}, {}];
  const asking = { writer, beganAtMs: 150, own: [] };
  const quiet = (table: string, sinceMs: number, own: readonly (readonly string[])[] = []) =>
    activity.isQuiet(new Set([table]), sinceMs, { ...asking, own });
  test.equal(quiet("a", 100), true, "nobody has written it");
  test.equal(
    activity.isQuiet(new Set(["a"]), -1, asking),
    false,
    "before the start nothing is known",
  );
  activity.begin(["a"]);
  test.equal(quiet("a", 100), false, "somebody is writing it");
  test.equal(quiet("a", 100, [["a"]]), true, "that is oneself");
  test.equal(quiet("b", 100), true);
  test.equal(activity.isQuiet("everything", 100, asking), false);
  activity.end(["a"], 200, other);
  test.equal(quiet("a", 100), false, "it was written after that");
  test.equal(quiet("a", 201), true);
  activity.begin([ANY_TABLE]);
  test.equal(quiet("b", 300), false, "whatever is written, it may be this one");
  activity.end([ANY_TABLE], 400, other);
  test.equal(quiet("b", 401), true);
  activity.begin([]);
  test.equal(activity.isQuiet("everything", 401, asking), true, "a row lock changes nothing");
  activity.begin(["c"]);
  activity.begin(["c"]);
  activity.end(["c"], 500, writer);
  activity.end(["c"], 500, writer);
  test.equal(quiet("c", 450), true, "that its own transaction has ended changes nothing");
  activity.begin(["c"]);
  activity.end(["c"], 600, other);
  test.equal(quiet("c", 450), false, "that another's has does");
  activity.restart(1000);
  test.equal(quiet("b", 900), false, "with the sides swapped, nothing is known of before");
  test.end();
});

type Asked = { readonly sql: string; readonly values: readonly string[] };

function sequences(answer: () => Promise<readonly (readonly string[])[]>) {
  const asked: Asked[] = [];
  let nowMs = 0;
  const failures: unknown[] = [];
  const kept = new KeptSequences({
    clock: { monotonicMs: () => nowMs, nowMs: () => nowMs },
    query: (sql, values) => {
      asked.push({ sql, values });
      return answer();
    },
    failed: (error) => failures.push(error),
  });
  const restored = (): readonly (readonly string[])[] =>
    asked.filter(({ sql }) => sql.includes("setval")).map(({ values }) => values);
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { kept, restored, failures, pass };
}

await t.test(
  "a sequence goes back once the last rehearsal that draws from it is undone",
  async (test) => {
    const { kept, restored } = sequences(() => Promise.resolve([["7", "t"]]));
    await kept.enter(["s"]);
    test.equal(kept.enter(["s"]), undefined, "it is noted already");
    kept.leave(["s"], 1);
    test.same(restored(), [], "another one is under way");
    test.equal(kept.busy, 1);
    kept.leave(["s"], 2);
    test.same(restored(), [["s", "7", "t", "3"]], "by no more than was drawn");
    await kept.close();
    test.equal(kept.busy, 0);
  },
);

await t.test("a sequence is left where it is rather than set back wrongly", async (test) => {
  const late = sequences(() => Promise.resolve([["7", "t"]]));
  await late.kept.enter(["s"]);
  late.pass(60_000);
  late.kept.leave(["s"], 1);
  test.same(late.restored(), [], "what was noted is long ago");
  const unread = sequences(() => Promise.reject(new Error("no right")));
  await unread.kept.enter(["s"]);
  unread.kept.leave(["s"], 1);
  test.same(unread.restored(), [], "it could not be noted");
  test.equal(unread.failures.length, 1);
  const swapped = sequences(() => Promise.resolve([["7", "t"]]));
  await swapped.kept.enter(["s"]);
  swapped.kept.forget();
  swapped.kept.leave(["s"], 1);
  test.same(swapped.restored(), [], "the shadow has become the primary");
  const idle = sequences(() => Promise.resolve([["7", "t"]]));
  await idle.kept.enter(["s"]);
  idle.kept.leave(["s"], 0);
  test.same(idle.restored(), [], "nothing was drawn");
});
