/** A rule from the configuration, in Scientist's words. Every condition given must hold. */
export type CompareRule = {
  readonly name: string;
  readonly match: {
    readonly fingerprint?: string | undefined;
    /** A relation the statement names. */
    readonly table?: string | undefined;
    readonly column?: string | undefined;
    /** Type name of the column. */
    readonly type?: string | undefined;
  };
  readonly action:
    /** The column, or the whole statement when no column is named, is not compared. */
    | { readonly kind: "ignore" }
    /**
     * Numbers may differ by so much, absolutely or relative to the primary's; both sides may fail
     * with SQLSTATEs of one of these groups.
     */
    | {
        readonly kind: "tolerate";
        readonly absolute?: number | undefined;
        readonly relative?: number | undefined;
        readonly sqlstates?: readonly (readonly string[])[] | undefined;
      }
    /** Both values are cleaned before they are compared. */
    | {
        readonly kind: "clean";
        readonly with: readonly ("trim" | "lower_case" | "collapse_space" | "null_is_empty")[];
      };
};
