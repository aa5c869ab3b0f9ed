import type { Side } from "../routing/side.ts";
import type { Holder, MoveOutcome } from "../routing/traffic-port.ts";

/** Sentences that an attempt ends with. They hold no customer value: statements come normalised. */

/** Says who kept the pause from becoming quiet: the longest first, three by name. */
export function heldSentence(holders: readonly Holder[], maxPauseMs: number, stays: Side): string {
  const longest = [...holders].sort((a, b) => b.forMs - a.forMs);
  const named = longest.slice(0, 3).map(describeHolder).join("; ");
  const more = longest.length > 3 ? `; and ${longest.length - 3} more` : "";
  const who = longest.length === 0 ? "sessions that were not named" : `${named}${more}`;
  return `The sessions did not come to rest within ${maxPauseMs} ms, so traffic goes on at ${stays}. Held up by ${who}.`;
}

function describeHolder(holder: Holder): string {
  if (holder.reason === "shadow_queue") return `dual writing: ${holder.statement}`;
  const application = holder.applicationName === "" ? "" : ` (${holder.applicationName})`;
  const doing =
    holder.reason === "open_transaction" ? "open transaction for" : "running a statement for";
  const statement = holder.statement === "" ? "" : `, last: ${shorten(holder.statement)}`;
  return `user ${holder.user}${application} at ${holder.client}, ${doing} ${Math.round(holder.forMs)} ms${statement}`;
}

function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 199)}…`;
}

export function movedSentence(moved: MoveOutcome): string {
  const ended = Object.entries(moved.ended).filter(([, count]) => count > 0);
  const reasons = ended.map(([reason, count]) => `${reason} ${count}`).join(", ");
  const total = ended.reduce((sum, [, count]) => sum + count, 0);
  const sessions = moved.moved === 1 ? "session" : "sessions";
  return `${moved.moved} ${sessions} moved, ${total} ended${total === 0 ? "" : ` (${reasons})`}`;
}
