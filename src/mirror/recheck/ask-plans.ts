import { decodeReply } from "../../compare/reply.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import { explainRequest } from "../../wire/postgres/explain-request.ts";
import { decodeDataRow } from "../../wire/postgres/reply-frames.ts";
import { planText } from "./plan-text.ts";
import type { RecheckDeps } from "./recheck-deps.ts";

/** The plans of both roles' servers for the same statement and parameters, as lines for people. */
export type PlansByRole = { readonly primary: string; readonly shadow: string };

type OpenSession = RecheckDeps["openSession"];

/**
 * Asks both sides how they would run an exchange of one statement; nothing is run.
 * @returns undefined when it is not such an exchange, or a side does not say
 * @throws CodedError when a side cannot be asked
 */
export async function askPlans(
  openSession: OpenSession,
  exchange: RecordedExchange,
): Promise<PlansByRole | undefined> {
  if (exchange.statements.length !== 1) return undefined;
  const request = explainRequest(exchange.prepared[0], exchange.frames);
  if (request === undefined) return undefined;
  // The statement goes along in the request itself.
  const alone = { ...exchange, prepared: [] };
  const primary = await askOne(openSession, "primary", alone, request);
  const shadow = await askOne(openSession, "shadow", alone, request);
  return primary === undefined || shadow === undefined ? undefined : { primary, shadow };
}

async function askOne(
  openSession: OpenSession,
  role: "primary" | "shadow",
  exchange: RecordedExchange,
  request: Buffer,
): Promise<string | undefined> {
  const session = await openSession(role, exchange);
  try {
    await session.begin();
    const answer = await session.ask(request);
    if (answer.kind !== "answered") return undefined;
    const rows = decodeReply(answer.frames).results[0]?.rows ?? [];
    const json = rows.map((row) => decodeDataRow(row)[0]?.toString("utf8") ?? "").join("\n");
    return planText(json);
  } finally {
    session.close();
  }
}
