import fc from "fast-check";
import { loadModule, scanSync } from "libpg-query";
import t from "tap";
import { normalisedText } from "../../src/sql/normalise.ts";
import { LITERAL, newShape, scanShape, type Shape } from "../../src/sql/shape.ts";
import { newShapeCache } from "../../src/sql/shape-cache.ts";

await loadModule();

function shapeOf(text: string | Buffer): Shape {
  const bytes = Buffer.from(text);
  const shape = newShape();
  scanShape(shape, bytes, 0, bytes.length);
  return shape;
}

const MARKS = new Map<number, string>(
  Object.entries(LITERAL).map(([name, mark]) => [mark, `‹${name}›`]),
);

/** The shape with readable marks, or undefined when only the exact text identifies the text. */
function readable(text: string): string | undefined {
  const shape = shapeOf(text);
  if (shape.exact) return undefined;
  let found = "";
  for (const character of Buffer.from(shape.bytes.subarray(0, shape.length)).toString())
    found += MARKS.get(character.charCodeAt(0)) ?? character;
  return found;
}

void t.test(
  "literals become marks, comments and white space one blank, all else stays",
  async (test) => {
    const table: readonly [text: string, shape: string | undefined, why: string][] = [
      ["SELECT 1", "SELECT ‹number›", "a number"],
      ["  SELECT\t\n 1  ", "SELECT ‹number›", "white space"],
      ["select 1", "select ‹number›", "case stays: nothing is folded here"],
      ["a--b\nc", "a c", "a comment to the end of the line"],
      ["a--b", "a", "or of the text"],
      ["a/* b /* c */ d */e", "a e", "comments nest"],
      ["a-b/c*d", "a-b/c*d", "operators stay"],
      ["a - -1", "a - -‹number›", "a sign is an operator"],
      [
        "1.5 .5 1. 1e5 1.5E-3 1..2",
        "‹number› ‹number› ‹number› ‹number› ‹number› ‹number›..‹number›",
        "numbers",
      ],
      [
        "0x1F 0o17 0b101 1_000",
        "‹hex› ‹octal› ‹binary› ‹grouped›",
        "notations that older servers read otherwise",
      ],
      ["0X_ff 1_0.5_0", "‹hex› ‹grouped›", "with underscores"],
      [
        "123abc 0xg 1_ 1__0",
        "‹number›abc ‹number›xg ‹number›_ ‹number›__0",
        "junk after a number stays",
      ],
      ["t1 _2 a$1 é9", "t1 _2 a$1 é9", "digits in words are no numbers"],
      ["$1 $23 $1a", "$1 $23 $1a", "parameters stay"],
      ["'a' 'it''s' ''", "‹string› ‹string› ‹string›", "strings"],
      ["'a'\n'b'", "‹string›\n‹string›", "over two lines they are one"],
      [
        "'a' -- c\n 'b'",
        "‹string›\n‹string›",
        "also with a comment to the end of the line between",
      ],
      ["'a' /* \n */ 'b'", "‹string› ‹string›", "but not with another comment"],
      ["'a'\nb\n'c'", "‹string› b ‹string›", "nor with a word"],
      ["'C:\\dir\\\\'", "‹string›", "a backslash that hides no quote"],
      ["'a\\'", undefined, "where the string ends depends on a setting"],
      ["'a\\'' b", undefined, "the same"],
      ["E'a\\'b' e'\\\\'", "E‹string› e‹string›", "backslash escapes"],
      ["E'a'\n'b\\'c'", "E‹string›\n‹string›", "and they go on over lines"],
      ["te'a'", "te‹string›", "a word that ends in e is no prefix"],
      ["e 'a\\\\'", "e ‹string›", "nor is an e with a blank"],
      [
        "B'01' X'1F' N'a' U&'\\0061' u&\"a\"",
        'B‹string› X‹string› N‹string› U&‹string› u&"a"',
        "prefixes stay",
      ],
      ["$$a'b$$ $t$ $$ $t$ $ü1$x$ü1$", "‹string› ‹string› ‹string›", "dollar quotes"],
      ["$1$ a$b$c$b$", "$1$ a$b$c$b$", "no dollar quotes"],
      ['"a" "b""c" "--" "\'"', '"a" "b""c" "--" "\'"', "quoted names stay"],
      [
        "'now' 'TODAY' ' tomorrow ' 'yesterday 12:00' '04:05 today'",
        "‹moment› ‹moment› ‹moment› ‹moment› ‹moment›",
        "moments",
      ],
      [
        "'nowhere' 'today is' 'x now' 'now or never'",
        "‹string› ‹moment› ‹string› ‹string›",
        "hardly ever taken for one wrongly",
      ],
      ["'open", undefined, "open string"],
      ["E'open\\'", undefined, "open escape string"],
      ['"open', undefined, "open name"],
      ["/* open", undefined, "open comment"],
      ["/* open /* */", undefined, "open outer comment"],
      ["$a$ open $b$", undefined, "open dollar quote"],
      ["a\u0001b", undefined, "a control byte, which is also a mark"],
      ["a\u007fb", undefined, "another"],
      ['"a\u0001b"', undefined, "also in a name"],
      ["a\u000bb", undefined, "a vertical tab is white space on some servers only"],
      ["'a\u0001b'", "‹string›", "but not in a string"],
      ["", "", "nothing"],
    ];
    for (const [text, shape, why] of table) test.equal(readable(text), shape, `${text} (${why})`);
  },
);

/** Pieces of which any text may be made: every token that can hide another. */
const PIECES: readonly string[] = [
  "'a'",
  "'it''s'",
  "''",
  "E'a\\'b'",
  "e'\\\\'",
  "'a\\b'",
  "$$x$$",
  "$t$ ' $t$",
  "$t$ $$ $t$",
  "U&'x'",
  "B'01'",
  "X'1f'",
  "N'x'",
  "'now'",
  "1",
  "12.5",
  ".5",
  "1e5",
  "1.5E-3",
  "0x1F",
  "0o7",
  "0b1",
  "1_000",
  "$1",
  "abc",
  "e",
  "E",
  "u&",
  "b",
  "x",
  '"q"',
  '"a""b"',
  "-",
  "/",
  "*",
  "+",
  "--c\n",
  "--'\n",
  "/*c*/",
  "/* ' /* $$ */ */",
  "(",
  ")",
  ",",
  ".",
  "..",
  ";",
  "::",
  " ",
  " ",
  "\n",
  "\t",
  "é",
  "<>",
  "||",
  "[",
  "]",
  ":=",
  "=>",
  "%",
  "@",
  "&&",
];

/** The lexer names some of its constants only by their look. */
function isConstant(token: { readonly tokenName: string; readonly text: string }): boolean {
  return /^[IFS]CONST$/.test(token.tokenName) || /^(?:[bBxX]|[uU]&)'/.test(token.text);
}

/**
 * Servers join two strings over a comment, the lexer of the parser's package does not. And a string
 * right after B'…' is wrong for both, so where one ends and the other begins matters to nobody.
 */
const UNLIKE_SERVERS = /'\s*--[^\n]*\n|[bBxX]'[^']*'\s*'/;

void t.test("the scan finds the literals that PostgreSQL's own lexer finds", async (test) => {
  let compared = 0;
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 14 }), (pieces) => {
      const text = pieces.join("");
      const shape = shapeOf(text);
      if (shape.exact || text === "" || UNLIKE_SERVERS.test(text)) return;
      let tokens;
      try {
        tokens = scanSync(text).tokens;
      } catch {
        return; // The lexer refuses it, so what the scan makes of it is for nobody.
      }
      const expected = tokens
        .filter(isConstant)
        .map((token) => slice(text, token.start, token.end));
      const found = spansOf(shape).map(([from, to]) => slice(text, from, to));
      compared++;
      if (found.map(bare).join("\u0001") !== expected.map(bare).join("\u0001"))
        throw new Error(
          `${JSON.stringify(text)}: ${JSON.stringify(found)} for ${JSON.stringify(expected)}`,
        );
    }),
    { numRuns: 4000 },
  );
  test.ok(compared > 500, `${compared} texts were accepted by both`);
});

/** Prefixes B, X, N and U& are words to the scan. */
function bare(literal: string): string {
  return literal.replace(/^(?:[bBxXnN]|[uU]&)(?=')/, "");
}

function slice(text: string, from: number, to: number): string {
  return Buffer.from(text).subarray(from, to).toString();
}

function spansOf(shape: Shape): readonly (readonly [number, number])[] {
  return Array.from({ length: shape.literals }, (_, index) => [
    shape.spans[2 * index] ?? 0,
    shape.spans[2 * index + 1] ?? 0,
  ]);
}

const SECRET = "s3cr3t";

void t.test(
  "the normalised text holds no part of a literal, wherever the text is cut off",
  async (test) => {
    const literals = fc.constantFrom(
      `'${SECRET}'`,
      `E'${SECRET}\\'${SECRET}'`,
      `$$${SECRET}$$`,
      `$x$ '${SECRET} $x$`,
      `'a\\'${SECRET}'`,
      `'${SECRET}''${SECRET}'`,
      `U&'${SECRET}'`,
      `/* ${SECRET} */`,
      `-- ${SECRET}\n`,
      `'a'\n'${SECRET}'`,
      `X'${SECRET}'`,
      `'\\\\' '${SECRET}'`,
    );
    const words = fc.constantFrom(
      "SELECT ",
      ", ",
      " AS x ",
      "(",
      ")",
      " = ",
      " e ",
      "\n",
      "$1 ",
      "é ",
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(literals, words), { maxLength: 12 }),
        fc.nat(),
        (pieces, at) => {
          const bytes = Buffer.from(pieces.join(""));
          const shape = newShape();
          scanShape(shape, bytes, 0, at % (bytes.length + 1));
          return !normalisedText(shape).includes(SECRET);
        },
      ),
      { numRuns: 3000 },
    );
    test.pass("no secret was seen");
  },
);

void t.test(
  "the normalised text numbers its literals after the parameters and is at most 4 kB",
  async (test) => {
    const table: readonly [text: string, normalised: string][] = [
      ["SELECT 'a', 2", "SELECT $1, $2"],
      ["SELECT $2, 'a', $1", "SELECT $2, $3, $1"],
      ["SELECT 0x1F, 1_000, 123abc", "SELECT 0x0, 0_0, $1abc"],
      ["SELECT 'open", "SELECT $1…"],
      ['SELECT "é" -- x', 'SELECT "é"'],
    ];
    for (const [text, normalised] of table)
      test.equal(normalisedText(shapeOf(text)), normalised, text);
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("'a',", "é", "xyz ", "$65535 "), {
          minLength: 800,
          maxLength: 3000,
        }),
        (pieces) => {
          const text = normalisedText(shapeOf(pieces.join("")));
          return Buffer.byteLength(text) <= 4096 && !text.includes("\ufffd");
        },
      ),
      { numRuns: 50 },
    );
  },
);

void t.test(
  "the cache never answers for other bytes of the same hash, and forgets what is not asked for",
  async (test) => {
    const cache = newShapeCache<string>({ entries: 10, bytes: 1000 });
    const key = (text: string): Buffer => Buffer.from(text);
    cache.set(key("one"), 7, "first", 10);
    cache.set(key("two"), 7, "second", 10);
    test.equal(cache.get(key("one"), 3, 7), "first");
    test.equal(cache.get(key("two"), 3, 7), "second");
    test.equal(cache.get(key("six"), 3, 7), undefined, "same hash, same length, other bytes");
    test.equal(cache.get(key("onerous"), 7, 7), undefined, "same beginning, longer");
    test.equal(cache.get(key("onerous"), 3, 7), "first", "only the length given counts");
    const long = "x".repeat(200);
    cache.set(key(`${long}1`), 8, "long", 10);
    test.equal(cache.get(key(`${long}1`), 201, 8), "long");
    test.equal(
      cache.get(key(`${long}2`), 201, 8),
      undefined,
      "long keys are compared to their end",
    );
    for (let index = 0; index < 25; index++) {
      cache.set(key(`k${index}`), index + 100, String(index), 10);
      test.equal(cache.get(key("one"), 3, 7), "first", "asked for again and again, so kept");
    }
    test.equal(cache.get(key("two"), 3, 7), undefined, "not asked for");
    cache.set(key("big"), 1, "big", 5000);
    cache.set(key("bigger"), 2, "bigger", 5000);
    cache.set(key("biggest"), 3, "biggest", 5000);
    test.equal(cache.get(key("big"), 3, 1), undefined, "the bound of bytes holds as well");
    test.equal(cache.get(key("biggest"), 7, 3), "biggest", "a single large one is kept");
  },
);
