import { z } from "zod";
import { problem } from "./endpoint.ts";
import type { Endpoint, Reply } from "./endpoint.ts";
import { BAD, bodyOf, found, get, json, ok, post, PROBLEM, remove } from "./migration-endpoint.ts";
import type { MadeAction, MigrationPort, RuleOutcome, RuleRequest } from "./ports.ts";

/** Rules made while Twinwire runs, beside those of the configuration. */
export function ruleEndpoints(): Endpoint[] {
  return [
    get("/rules", "All rules, and how often each has applied", [ok("Rules")], (migration) =>
      json({ items: migration.rules() }),
    ),
    {
      ...post(
        "/rules",
        "Make a rule, of a divergence or of conditions; it holds at once",
        [
          { status: 201, description: "It is in force", schema: "Rule" },
          BAD,
          { status: 409, description: "It contradicts another or could not apply", ...PROBLEM },
        ],
        (migration, { body }) => ruleReply(migration.addRule(body as RuleRequest), body),
      ),
      body: bodyOf(RULE),
    },
    remove(
      "/rules/{rule}",
      "Remove a rule that was made while Twinwire ran",
      [ok("Removed"), { status: 409, description: "It stands in the file", ...PROBLEM }],
      (migration, call) => removal(migration, call.parameters["rule"] ?? ""),
    ),
  ];
}

const MAX_NAME = 200;
const condition = z.string().trim().min(1, { error: "is empty" }).max(MAX_NAME);
const amount = z
  .number({ error: "expected a number not below 0" })
  .min(0, { error: "expected a number not below 0" });

const RULE = z
  .strictObject({
    divergence: condition.optional(),
    name: condition.optional(),
    match: z
      .strictObject({
        fingerprint: condition.optional(),
        table: condition.optional(),
        column: condition.optional(),
        type: condition.optional(),
      })
      .optional(),
    ignore: z.literal(true, { error: "expected true" }).optional(),
    tolerate: z
      .strictObject({ absolute: amount.optional(), relative: amount.optional() })
      .optional(),
    clean: z
      .array(z.enum(["trim", "lower_case", "collapse_space", "null_is_empty"]))
      .min(1, { error: "names nothing to clean" })
      .optional(),
  })
  .transform((given, context): RuleRequest => {
    const { divergence, name, match } = given;
    const actions = actionsOf(given);
    const [action] = actions;
    if (action === undefined || actions.length > 1) {
      return refuse(context, given, "needs exactly one of ignore, tolerate and clean");
    }
    if (divergence !== undefined && name === undefined && match === undefined) {
      return { divergence, action };
    }
    if (divergence === undefined && name !== undefined && match !== undefined) {
      return { name, match, action };
    }
    return refuse(context, given, "needs either divergence, or name and match");
  });

type Given = {
  readonly ignore?: true | undefined;
  readonly tolerate?:
    | { readonly absolute?: number | undefined; readonly relative?: number | undefined }
    | undefined;
  readonly clean?: Extract<MadeAction, { kind: "clean" }>["with"] | undefined;
};

function actionsOf({ ignore, tolerate, clean }: Given): MadeAction[] {
  return [
    ...(ignore === undefined ? [] : [{ kind: "ignore" } as const]),
    ...(tolerate === undefined ? [] : [{ kind: "tolerate", ...tolerate } as const]),
    ...(clean === undefined ? [] : [{ kind: "clean", with: clean } as const]),
  ];
}

function refuse(context: z.RefinementCtx, input: unknown, message: string): never {
  context.issues.push({ code: "custom", message, input });
  return z.NEVER;
}

function ruleReply(outcome: RuleOutcome, body: unknown): Reply {
  switch (outcome.kind) {
    case "made":
      return { kind: "json", status: 201, body: outcome.rule };
    case "refused": {
      const { problems } = outcome;
      return problem(409, "rule_refused", `The rule is refused: ${problems.join("; ")}.`);
    }
    case "not_found":
      return found(undefined, "divergence" in (body as RuleRequest) ? "divergence" : "rule");
  }
}

function removal(migration: MigrationPort, name: string): Reply {
  switch (migration.removeRule(name)) {
    case "removed":
      return json({ removed: name });
    case "not_found":
      return found(undefined, "rule");
    case "in_file":
      return problem(409, "rule_in_file", "The rule stands in the configuration: remove it there.");
  }
}
