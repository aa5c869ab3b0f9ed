import { compareResults } from "./compare-results.ts";
import type { CompareContext } from "./context.ts";
import { newFinding } from "./explanation.ts";
import { excuseForError, excuseForNoise } from "./noise.ts";
import type { Observation } from "./observation.ts";
import { policyFor } from "./policy.ts";
import { decodeReply, replyOfDigests } from "./reply.ts";
import type { Reply, Result } from "./reply.ts";
import { openReplyDigester } from "./reply-digester.ts";
import type { ResultDigest } from "./result-digest.ts";
import { isSameReply, openKnownDescriptions } from "./same-reply.ts";
import type { KnownDescriptions } from "./same-reply.ts";
import type { Finding, Verdict } from "./verdict.ts";
import { isGraver } from "./weight.ts";

/** Compares what two sides did with one exchange. Never throws. */
export type Comparer = (
  primary: Observation,
  shadow: Observation,
  context: CompareContext,
) => Verdict;

/** A comparer that remembers which descriptions of rows say the same; one for each migration. */
export function openComparer(): Comparer {
  const known = openKnownDescriptions();
  return (primary, shadow, context) => compareWith(known, primary, shadow, context);
}

/** Compares what two sides did with one exchange, once. Never throws. */
export const compareObservations: Comparer = (primary, shadow, context) =>
  compareWith(undefined, primary, shadow, context);

const MATCH: Verdict = { kind: "match" };

function compareWith(
  known: KnownDescriptions | undefined,
  primary: Observation,
  shadow: Observation,
  context: CompareContext,
): Verdict {
  if (primary.kind === "lost") {
    const reason = primary.reason === "cancelled" ? "cancelled" : "primary_lost";
    return { kind: "incomparable", reason };
  }
  if (shadow.kind === "lost") return { kind: "incomparable", reason: shadow.reason };
  if (primary.kind === "answered" && shadow.kind === "answered") {
    if (isSameReply(primary.frames, shadow.frames, context, known)) return MATCH;
  }
  const asDigests = primary.kind === "digested" || shadow.kind === "digested";
  const ours = readReply(primary, asDigests);
  if (ours === undefined) return { kind: "incomparable", reason: "primary_lost" };
  const theirs = readReply(shadow, asDigests);
  if (theirs === undefined) return { kind: "incomparable", reason: "malformed" };
  return compareReplies(ours, theirs, context);
}

type Seen = Exclude<Observation, { kind: "lost" }>;

/** Undefined for an answer that is not what the protocol says. */
function readReply(seen: Seen, asDigests: boolean): Reply | undefined {
  try {
    if (!asDigests && seen.kind === "answered") return decodeReply(seen.frames);
    return replyOfDigests(seen.kind === "digested" ? seen.results : digestsOf(seen.frames));
  } catch {
    // The bytes came from a server: what is wrong with them is an outcome, not a failure of ours.
    return undefined;
  }
}

function digestsOf(frames: Uint8Array): readonly ResultDigest[] {
  const digester = openReplyDigester();
  digester.push(frames, 0, frames.length);
  return digester.results();
}

function compareReplies(primary: Reply, shadow: Reply, context: CompareContext): Verdict {
  let verdict: Verdict = MATCH;
  let oneSided = false;
  const count = Math.min(primary.results.length, shadow.results.length);
  for (let index = 0; index < count; index++) {
    const ours = primary.results[index];
    const theirs = shadow.results[index];
    if (ours === undefined || theirs === undefined) break;
    oneSided ||= (ours.error === undefined) !== (theirs.error === undefined);
    verdict = graver(verdict, compareStatement([ours, theirs], index, context));
  }
  // After an error on one side only, the rest of what differs is its consequence.
  if (oneSided) return verdict;
  return graver(verdict, compareEnds(primary, shadow, count));
}

function compareStatement(
  results: readonly [Result, Result],
  index: number,
  context: CompareContext,
): Verdict {
  const statement = context.statements[index];
  const policy = policyFor(statement, context.rules, context.applied);
  const verdict = compareResults(results, index, context, policy);
  if (verdict.kind === "match" || verdict.kind === "incomparable") return verdict;
  if (policy.ignored) return { kind: "incomparable", reason: "rule" };
  if (verdict.kind === "tolerated") return verdict;
  const [{ error: ours }, { error: theirs }] = results;
  const failed = ours ?? theirs;
  // Of two failures the shadow's is asked first: whichever says nothing, nothing can be compared.
  const excuse =
    (theirs && excuseForError({ side: "shadow", sqlstate: theirs.sqlstate })) ??
    (ours && excuseForError({ side: "primary", sqlstate: ours.sqlstate })) ??
    excuseForNoise(statement, verdict.finding, failed?.sqlstate);
  return excuse === undefined ? verdict : { kind: "incomparable", reason: excuse };
}

function compareEnds(primary: Reply, shadow: Reply, statement: number): Verdict {
  const counts = [primary.results.length, shadow.results.length];
  if (counts[0] !== counts[1]) {
    const detail = `${counts[0]} on the primary, ${counts[1]} on the shadow`;
    return { kind: "divergent", finding: newFinding("statement_count", { statement, detail }) };
  }
  const [ours, theirs] = [primary.transactionStatus, shadow.transactionStatus];
  if (ours === theirs || ours === undefined || theirs === undefined) return MATCH;
  const sides = { primary: String.fromCharCode(ours), shadow: String.fromCharCode(theirs) };
  const last = Math.max(0, statement - 1);
  const finding = newFinding("transaction_status", { statement: last }, sides);
  return { kind: "divergent", finding };
}

const WEIGHTS: Readonly<Record<Verdict["kind"], number>> = {
  divergent: 3,
  incomparable: 2,
  tolerated: 1,
  match: 0,
};

/** The verdict that weighs more; of two alike the first, unless the second has the graver reason. */
function graver(first: Verdict, second: Verdict): Verdict {
  if (WEIGHTS[first.kind] !== WEIGHTS[second.kind]) {
    return WEIGHTS[first.kind] > WEIGHTS[second.kind] ? first : second;
  }
  const [a, b] = [findingOf(first), findingOf(second)];
  return a !== undefined && b !== undefined && isGraver(b.reason, a.reason) ? second : first;
}

function findingOf(verdict: Verdict): Finding | undefined {
  return verdict.kind === "divergent" || verdict.kind === "tolerated" ? verdict.finding : undefined;
}
