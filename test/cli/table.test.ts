import fc from "fast-check";
import tap from "tap";
import { table, wrap } from "../../src/cli/table.ts";
import { instant, percent, reasons } from "../../src/cli/words.ts";

void tap.test("a table keeps to its width, aligns its numbers and wraps its texts", async (t) => {
  const columns = [
    { head: "id" },
    { head: "times", align: "right" },
    { head: "text", stretch: true },
  ] as const;
  const rows = [
    ["a", "1", "short"],
    ["bcd", "1,000", "a text of several words that is wrapped"],
  ];
  t.equal(
    table(columns, rows, 34),
    [
      "ID   TIMES  TEXT",
      "a        1  short",
      "bcd  1,000  a text of several",
      "            words that is wrapped",
      "",
    ].join("\n"),
  );
});

void tap.test("wrapping keeps every word, or says that it left some out", async (t) => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { maxLength: 30 });
  fc.assert(
    fc.property(words, fc.integer({ min: 5, max: 60 }), (list, width) => {
      const lines = wrap(list.join(" "), width, 4);
      const whole = lines.join("").replaceAll(" ", "") === list.join("");
      return (
        lines.length <= 4 &&
        lines.every((line) => line.length <= width) &&
        (whole || lines.at(-1)?.endsWith("…") === true)
      );
    }),
  );
  t.pass("at any width");
});

void tap.test(
  "numbers are written so that they cannot be taken for more than they are",
  async (t) => {
    t.equal(percent(0, 0), "–");
    t.equal(percent(1, 1), "100 %");
    t.equal(percent(99_999, 100_000), "99.9 %", "not all");
    t.equal(percent(1, 100_000), "0.1 %", "not none");
    t.equal(percent(0, 5), "0 %");
    t.equal(percent(1, 3), "33.3 %");
    t.equal(reasons({ a: 1, b: 1200 }), "b 1,200, a 1");
    t.equal(reasons({}), "–");
    t.equal(instant("2026-03-01T11:30:00.123Z"), "2026-03-01 11:30:00Z");
  },
);
