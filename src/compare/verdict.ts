/** The outcome of comparing two observations of one exchange. */
export type Verdict =
  | { readonly kind: "match" }
  | { readonly kind: "tolerated"; readonly finding: Finding }
  | { readonly kind: "divergent"; readonly finding: Finding }
  /** `finding`: the difference, where the statement's own noise may but need not explain it. */
  | {
      readonly kind: "incomparable";
      readonly reason: IncomparableReason;
      readonly finding?: Finding;
    };

/** One named difference: the first of its exchange that weighs most. */
export type Finding = {
  readonly reason: DifferenceReason;
  /** A sentence for people; holds no customer value. */
  readonly explanation: string;
  /** Which statement of the exchange, from 0. */
  readonly statement: number;
  /** Output column, where the difference is in one. */
  readonly column?: string;
  /** Row number from 0 in the primary's answer. */
  readonly row?: number;
  /** The two values or errors as text, unmasked: to be masked before they are stored. */
  readonly primary?: string;
  readonly shadow?: string;
};

/** Differences, the gravest first. */
export const DIFFERENCE_REASONS = {
  error_on_shadow: "the primary answered, the shadow failed",
  error_on_primary: "the primary failed, the shadow answered",
  error_code: "both failed, with different SQLSTATEs",
  sequence_behind: "the shadow's sequence gave a key that is already in its table",
  column_count: "the answers have a different number of columns",
  column_name: "a column has another name",
  column_type: "a column has another type",
  row_count: "the answers have a different number of rows",
  row_missing: "rows of the primary are missing on the shadow",
  row_extra: "the shadow has rows the primary has not",
  row_order: "the same rows, in another order than the statement asks for",
  collation_order: "sorted by another collation",
  command_tag: "another number of rows was affected",
  null_value: "NULL on one side, a value on the other",
  null_or_empty: "NULL on one side, an empty text on the other",
  value: "a value differs",
  numeric_value: "a number differs",
  float_precision: "a floating-point number differs only after the 15th digit",
  numeric_scale: "the same number, written with another scale",
  timestamp_value: "a point in time differs",
  timestamp_zone: "the same instant, written in another time zone",
  text_case: "a text differs in case only",
  trailing_space: "a text differs in trailing spaces only",
  text_value: "a text differs",
  boolean_value: "a truth value differs",
  bytea_value: "binary data differs",
  bytea_format: "the same binary data, written in another format",
  json_value: "a JSON document differs",
  json_format: "the same JSON document, written differently",
  array_value: "an array differs",
  interval_value: "an interval differs",
  interval_style: "the same interval, written in another style",
  date_style: "the same date, written in another style",
  value_format: "the same value, written differently",
  generated_key:
    "each side gave the new row a value of its own (sequence, identity, clock, chance)",
  row_order_free: "the same rows in another order, and the statement asks for none",
  column_type_alias: "the column's type differs, its values do not",
  error_code_alike: "both failed, with SQLSTATEs that a rule calls alike",
  error_message: "the same SQLSTATE with another message",
  statement_count: "the answers hold a different number of results",
  transaction_status: "the transaction is open on one side and not on the other",
  large_result: "the answers are too large to keep, and their digests differ",
} as const;

export type DifferenceReason = keyof typeof DIFFERENCE_REASONS;

/** Why two observations were not compared, or a difference between them says nothing. */
export const INCOMPARABLE_REASONS = {
  timeout: "the shadow did not answer in time",
  disconnected: "the shadow closed the connection",
  overflow: "the shadow's answer did not fit the memory set aside for it",
  cancelled: "the client cancelled it",
  malformed: "the shadow's answer was not understood",
  primary_lost: "the primary's answer did not arrive whole",
  clock: "it depends on the clock",
  volatile: "it depends on a volatile function",
  server: "it reads what belongs to one server",
  explain: "it shows a plan",
  underspecified: "LIMIT without a total order leaves the rows open",
  unordered_aggregate: "it aggregates rows in no defined order",
  drifted: "it reads a table in which a write was lost on the shadow",
  read_only: "the shadow refused it because its session is read-only",
  transient_error: "one side failed for a passing reason (deadlock, lock, resources, shutdown)",
  failed_transaction: "an earlier statement of its transaction failed on one side only",
  large_result:
    "the answer is too large to be read in full, and only tolerated differences were seen in it",
  unknown_type:
    "a value of a type unknown to Twinwire came in text on one side and in binary on the other",
  rule: "a rule ignores what differed",
  lag: "the shadow had not yet applied what the session wrote before",
  transient:
    "asked again, both sides agreed: the shadow was behind, or the data had changed meanwhile",
  nondeterministic: "the primary disagrees with itself when it is asked twice in one snapshot",
  unsettled: "a difference that asking again could neither confirm nor dispel",
  raced: "it ran beside the replication of the same rows, so a difference says nothing",
} as const;

export type IncomparableReason = keyof typeof INCOMPARABLE_REASONS;
