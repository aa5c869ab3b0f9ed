import { z } from "zod";
import type { CompareConfig, CompareRuleConfig, RecheckConfig } from "./config.ts";
import { amount, duration, flag, oneOf, patternText, size, text, wholeNumber } from "./leaf.ts";

const CLEANINGS = ["trim", "lower_case", "collapse_space", "null_is_empty"] as const;
const ACTIONS = ["ignore", "tolerate", "clean", "sample"] as const;

/** The `compare` section: what counts as equal, how much is kept, what samples may show. */
export function compareSection(): z.ZodType<CompareConfig> {
  return z
    .strictObject({
      rules: z.array(rule()).prefault([]),
      safe_functions: z.array(text()).prefault([]),
      keep: size({ min: 1024, max: 256 * 1024 ** 2 }).prefault("1MiB"),
      recheck: recheck().prefault({}),
      samples: z
        .strictObject({
          per_divergence: wholeNumber({ min: 0, max: 100 }).prefault(5),
          reveal: z.array(text()).prefault([]),
          store_requests: flag().prefault(false),
        })
        .prefault({}),
    })
    .transform(({ rules, safe_functions, keep, samples, ...rest }) => ({
      rules,
      recheck: rest.recheck,
      safeFunctions: safe_functions.map((name) => name.toLowerCase()),
      keepBytes: keep,
      samples: {
        perDivergence: samples.per_divergence,
        reveal: samples.reveal,
        storeRequests: samples.store_requests,
      },
    }));
}

function recheck(): z.ZodType<RecheckConfig> {
  return z
    .strictObject({
      enabled: flag().prefault(true),
      per_minute: wholeNumber({ min: 1, max: 60_000 }).prefault(60),
      concurrent: wholeNumber({ min: 1, max: 64 }).prefault(4),
      patience: duration({ min: 1, max: 3_600_000 }).prefault("5s"),
    })
    .transform(({ per_minute, patience, ...rest }) => ({
      ...rest,
      perMinute: per_minute,
      patienceMs: patience,
    }));
}

type RuleDraft = {
  readonly name: string;
  readonly match: CompareRuleConfig["match"];
  readonly ignore?: boolean | undefined;
  readonly tolerate?:
    | {
        readonly absolute?: number | undefined;
        readonly relative?: number | undefined;
        readonly sqlstates?: readonly (readonly string[])[] | undefined;
      }
    | undefined;
  readonly clean?: readonly (typeof CLEANINGS)[number][] | undefined;
  readonly sample?: number | undefined;
};

function rule(): z.ZodType<CompareRuleConfig> {
  return z
    .strictObject({
      name: text(),
      match: z
        .strictObject({
          fingerprint: patternText(/^[0-9a-f]{16}$/, "16 hexadecimal digits").optional(),
          table: text().optional(),
          column: text().optional(),
          type: text().optional(),
        })
        .prefault({}),
      ignore: flag().optional(),
      tolerate: z
        .strictObject({
          absolute: amount("a number not below 0").optional(),
          relative: amount("a number not below 0").optional(),
          sqlstates: z
            .array(
              z
                .array(patternText(/^[0-9A-Z]{5}$/, "a SQLSTATE of 5 digits and capitals"))
                .min(2, "a group needs two SQLSTATEs that are to count as alike"),
            )
            .min(1)
            .optional(),
        })
        .optional(),
      clean: z.array(oneOf(CLEANINGS)).min(1).optional(),
      sample: amount("a share from 0 to 1", 1).optional(),
    })
    .transform((given, context) => {
      const draft = given as RuleDraft;
      const message = complaintAbout(draft);
      if (message === undefined)
        return { name: draft.name, match: draft.match, action: action(draft) };
      context.issues.push({ code: "custom", message, input: given });
      return z.NEVER;
    });
}

function complaintAbout(draft: RuleDraft): string | undefined {
  const actions = ACTIONS.filter((name) => draft[name] !== undefined);
  if (actions.length !== 1) {
    return `needs exactly one of ${ACTIONS.join(", ")}, found ${actions.join(" and ") || "none"}`;
  }
  if (draft.ignore === false) return "ignore: false does nothing: remove the rule";
  const { match, tolerate, sample } = draft;
  const complaint = tolerate && toleranceComplaint(tolerate, match);
  if (complaint !== undefined) return complaint;
  if (draft.ignore === true && Object.keys(match).length === 0) {
    return "ignores everything: match needs a fingerprint, table, column or type";
  }
  if (sample !== undefined && (match.column !== undefined || match.type !== undefined)) {
    return "sample takes whole statements: match them by fingerprint or table";
  }
  return undefined;
}

function toleranceComplaint(
  { absolute, relative, sqlstates }: NonNullable<RuleDraft["tolerate"]>,
  match: RuleDraft["match"],
): string | undefined {
  const hasAmount = absolute !== undefined || relative !== undefined;
  if (sqlstates === undefined) {
    return hasAmount ? undefined : "tolerate needs absolute, relative or both, or sqlstates";
  }
  if (hasAmount) return "tolerate takes amounts or sqlstates: make two rules of them";
  return match.column === undefined && match.type === undefined
    ? undefined
    : "sqlstates are of whole statements: match them by fingerprint or table";
}

function action(draft: RuleDraft): CompareRuleConfig["action"] {
  if (draft.tolerate !== undefined) return { kind: "tolerate", ...draft.tolerate };
  if (draft.clean !== undefined) return { kind: "clean", with: draft.clean };
  if (draft.sample !== undefined) return { kind: "sample", rate: draft.sample };
  return { kind: "ignore" };
}
