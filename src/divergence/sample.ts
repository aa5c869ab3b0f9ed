import type { DifferenceReason, Finding } from "../compare/verdict.ts";
import type { Statement } from "../sql/statement.ts";
import type { DivergenceSample } from "./items.ts";
import type { Mask } from "./mask.ts";

export type SampleRules = {
  readonly mask: Mask;
  /** Columns shown in clear: `status`, `orders.status` or `public.orders.status`, lower-case. */
  readonly reveal: ReadonlySet<string>;
};

/** Longer values that may be shown are cut: a sample is a hint, not a copy. */
const MAX_SHOWN = 200;

/** Reasons whose two sides are names or counts, and the only form in which these may be shown. */
const NAMES = /^[^]*$/;
const TAG = /^([A-Z]+( [A-Z]+)*( \d+)*|\d+ rows?|\d+)$/;
const STRUCTURE: Partial<Record<DifferenceReason, RegExp>> = {
  column_count: TAG,
  column_name: NAMES,
  column_type: NAMES,
  column_type_alias: NAMES,
  row_count: TAG,
  command_tag: TAG,
  statement_count: TAG,
  transaction_status: TAG,
};

const ERROR_REASONS: ReadonlySet<string> = new Set([
  "error_on_shadow",
  "error_on_primary",
  "error_code",
  "error_message",
  "command_tag",
]);
const SQLSTATE = /^([0-9A-Z]{5})( |$)/;

/** The sample of an occurrence, fit for eyes and for the store. */
export function sampleOf(
  finding: Finding,
  statement: Statement,
  atMs: number,
  rules: SampleRules,
): DivergenceSample {
  const shown = shower(finding, statement, rules);
  return {
    at: new Date(atMs).toISOString(),
    primary: finding.primary === undefined ? null : shown(finding.primary),
    shadow: finding.shadow === undefined ? null : shown(finding.shadow),
    row: finding.row ?? null,
  };
}

function shower(finding: Finding, statement: Statement, rules: SampleRules): Mask {
  const { reason, column } = finding;
  if (column !== undefined && isRevealed(column, statement, rules.reveal)) return shorten;
  const structure = STRUCTURE[reason];
  return (value) => {
    if (structure?.test(value) === true) return shorten(value);
    if (ERROR_REASONS.has(reason)) return errorShown(value, rules.mask);
    return rules.mask(value);
  };
}

/**
 * The SQLSTATE in clear, the message masked: servers quote values in messages. The other side of
 * an error is a command tag, which holds none.
 */
function errorShown(value: string, mask: Mask): string {
  if (TAG.test(value)) return value;
  const sqlstate = SQLSTATE.exec(value)?.[1];
  if (sqlstate === undefined) return mask(value);
  const message = value.slice(sqlstate.length + 1);
  return message === "" ? sqlstate : `${sqlstate} ${mask(message)}`;
}

function isRevealed(column: string, { tables }: Statement, reveal: ReadonlySet<string>): boolean {
  if (reveal.size === 0) return false;
  const name = column.toLowerCase();
  if (reveal.has(name)) return true;
  return tables.some((table) => {
    const qualified = table.toLowerCase();
    const bare = qualified.slice(qualified.lastIndexOf(".") + 1);
    return reveal.has(`${qualified}.${name}`) || reveal.has(`${bare}.${name}`);
  });
}

function shorten(value: string): string {
  return value.length <= MAX_SHOWN ? value : `${value.slice(0, MAX_SHOWN)}…`;
}
