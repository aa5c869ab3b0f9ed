import { Buffer } from "node:buffer";
import { divergent, latin1, readable, scalarFamily, tolerated } from "./value.ts";
import type { Difference, Family, Value } from "./value.ts";

/** text, varchar, name, xml and everything else that is its own text in both formats. */
export const TEXT: Family = {
  group: "text",
  canonical: ({ raw }) => latin1(raw),
  compare: (primary, shadow) => compareTexts(latin1(primary.raw), latin1(shadow.raw), false),
  render: (raw) => readable(latin1(raw)),
  hint: hintAtText,
};

/** bpchar: `char(n)` is padded, and its trailing spaces mean nothing. */
export const PADDED: Family = {
  group: "text",
  canonical: ({ raw }) => latin1(raw).replace(/ +$/, ""),
  compare: (primary, shadow) => compareTexts(latin1(primary.raw), latin1(shadow.raw), true),
  render: (raw) => readable(latin1(raw)),
  hint: hintAtText,
};

/** Labels and types unknown to us: bytes in text clothes. */
export const LABEL: Family = scalarFamily({
  group: "label",
  read: latin1,
  differs: "value",
  format: "value_format",
  render: (raw) => readable(latin1(raw)),
});

const TRUTH: ReadonlyMap<string, string> = new Map([
  ["t", "true"],
  ["true", "true"],
  ["1", "true"],
  ["\x01", "true"],
  ["f", "false"],
  ["false", "false"],
  ["0", "false"],
  ["\x00", "false"],
]);

export const BOOLEAN: Family = scalarFamily({
  group: "boolean",
  read: (raw) => TRUTH.get(latin1(raw)),
  differs: "boolean_value",
  format: "value_format",
  render: (raw) => TRUTH.get(latin1(raw)),
});

/** bytea: `\x` and hexadecimal digits, or escapes, or as it is. */
export const BYTEA: Family = scalarFamily({
  group: "bytea",
  read: (raw) => (typeof raw === "string" ? decodeBytea(raw) : raw.toString("hex")),
  differs: "bytea_value",
  format: "bytea_format",
  render: (raw) => `\\x${raw.toString("hex")}`,
});

export const UUID: Family = scalarFamily({
  group: "uuid",
  read: (raw) => {
    const hex =
      typeof raw === "string" ? raw.toLowerCase().replaceAll("-", "") : raw.toString("hex");
    return /^[\da-f]{32}$/.test(hex) ? hex : undefined;
  },
  differs: "value",
  format: "value_format",
  render: (raw) =>
    raw.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
});

/** What texts tell of how they differ. */
function hintAtText(primary: Value, shadow: Value): string | undefined {
  const [a, b] = [readable(latin1(primary.raw)), readable(latin1(shadow.raw))];
  const spaceless = (text: string): string => text.replace(/\s+/g, "");
  if (a.trimEnd() === b.trimEnd() || a.toLowerCase() === b.toLowerCase()) return undefined;
  if (a.normalize("NFC") === b.normalize("NFC")) return "the same characters, composed differently";
  if (spaceless(a) === spaceless(b)) return "in spaces and line ends only";
  if (a === "" || b === "") return "one is empty";
  if (a.startsWith(b) || b.startsWith(a)) return "one is the beginning of the other";
  const isGarbled = (text: string, other: string): boolean =>
    Buffer.from(text, "utf8").toString("latin1") === other;
  if (isGarbled(a, b) || isGarbled(b, a)) return "one is the other's UTF-8 read as Latin-1";
  return undefined;
}

function compareTexts(a: string, b: string, padded: boolean): Difference | undefined {
  if (a === b) return undefined;
  if (a.replace(/ +$/, "") === b.replace(/ +$/, "")) {
    return padded ? tolerated("trailing_space") : divergent("trailing_space");
  }
  if (readable(a).toLowerCase() === readable(b).toLowerCase()) return divergent("text_case");
  return divergent("text_value");
}

function decodeBytea(text: string): string | undefined {
  if (text.startsWith("\\x")) {
    return /^\\x(?:[\da-fA-F]{2})*$/.test(text) ? text.slice(2).toLowerCase() : undefined;
  }
  let malformed = false;
  const plain = text.replace(/\\(\\|[0-3][0-7]{2}|)/g, (_, escape: string) => {
    if (escape === "") malformed = true;
    return escape === "\\" ? "\\" : String.fromCharCode(Number.parseInt(escape, 8));
  });
  return malformed ? undefined : Buffer.from(plain, "latin1").toString("hex");
}
