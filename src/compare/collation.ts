import { Buffer } from "node:buffer";

/**
 * Texts of the two sides in the order they came, as lists of which each is sorted in itself: all
 * rows, or those in which the keys before are the same.
 */
export type TwoOrders = {
  readonly primary: readonly (readonly string[])[];
  readonly shadow: readonly (readonly string[])[];
};

/**
 * Says how the two sides sort, if each side's order is right by some collation and there is none by
 * which both are: then not the data differs but what `ORDER BY` means. Undefined when that is not so.
 */
export function collationsApart({ primary, shadow }: TwoOrders): string | undefined {
  const held = DIRECTIONS.map((sign) => ({
    primary: COLLATIONS.filter((each) => primary.every((texts) => holds(each, sign, texts))),
    shadow: COLLATIONS.filter((each) => shadow.every((texts) => holds(each, sign, texts))),
  })).filter((each) => each.primary.length > 0 && each.shadow.length > 0);
  const isCommon = held.some((each) => each.primary.some((one) => each.shadow.includes(one)));
  const [first, second] = held;
  if (first === undefined || isCommon) return undefined;
  // Few texts may be sorted upwards by one collation and downwards by another.
  if (second !== undefined) return "each side's order is right by some collation";
  return `the primary sorts ${first.primary[0]?.name}, the shadow ${first.shadow[0]?.name}`;
}

type Collation = { readonly name: string; readonly compare: (a: string, b: string) => number };

const DIRECTIONS = [1, -1] as const;

/** Those that databases are made with; each stands for many that sort nearly all texts alike. */
const COLLATIONS: readonly Collation[] = [
  { name: "by bytes (C)", compare: (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) },
  icu("as a dictionary does", "en"),
  icu("as a dictionary does, regardless of punctuation", "en", { ignorePunctuation: true }),
  icu("as a dictionary does, capitals first", "en", { caseFirst: "upper" }),
  icu("by the numbers in the texts", "en", { numeric: true }),
  ...["sv", "da", "de-u-co-phonebk", "cs", "es", "tr", "et"].map((locale) =>
    icu(`as a dictionary of another language does (${locale.slice(0, 2)})`, locale),
  ),
];

function icu(name: string, locale: string, options?: Intl.CollatorOptions): Collation {
  const { compare } = new Intl.Collator(locale, options);
  return { name, compare };
}

function holds({ compare }: Collation, sign: number, texts: readonly string[]): boolean {
  return texts.every((text, at) => {
    const before = texts[at - 1];
    return before === undefined || compare(before, text) * sign <= 0;
  });
}
