/** What is held of a group besides its count: whether it was confirmed, and whether it is open. */
export type Standing = {
  readonly confirmed: boolean;
  /** A sentence, without a customer's value. */
  readonly settled: string;
  /** Why it is not among the open ones though it was not disproved. */
  readonly aside: SetAside | undefined;
  /** Marks of rules that were said to cover it, and under which it was seen again. */
  readonly escaped: readonly string[];
  readonly tables: readonly string[];
  readonly positions: { readonly primary: string | null; readonly shadow: string | null };
};

export type SetAside =
  | { readonly kind: "ruled"; readonly rule: string; readonly mark: string; readonly atMs: number }
  | { readonly kind: "closed"; readonly atMs: number };

/**
 * Of a group stored by a version that counted differences seen once: the difference was never asked
 * for again, so it is not called confirmed.
 */
const SEEN_ONCE: Standing = {
  confirmed: false,
  settled: "It was stored by an earlier version of Twinwire, which did not ask again.",
  aside: undefined,
  escaped: [],
  tables: [],
  positions: { primary: null, shadow: null },
};

export function savedStanding(standing: Standing): string {
  return JSON.stringify(standing);
}

export function restoredStanding(document: string): Standing {
  return { ...SEEN_ONCE, ...(JSON.parse(document) as Partial<Standing>) };
}
