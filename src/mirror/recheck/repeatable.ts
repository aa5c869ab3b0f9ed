import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { SessionState } from "../../routing/session-state.ts";
import type { Statement } from "../../sql/statement.ts";
import { queryMessage } from "../../wire/postgres/frontend-messages.ts";
import type { Pair } from "../pair.ts";

/** An exchange as it can be asked again, or why it cannot, in words. */
export type Repeatable =
  | { readonly kind: "repeatable"; readonly exchange: RecordedExchange }
  | { readonly kind: "not"; readonly why: string };

/** Takes down what is needed to ask both sides again. */
export function recordExchange(pair: Pair, positions: RecordedExchange["positions"]): Repeatable {
  const why = obstacle(pair);
  if (why !== undefined) return { kind: "not", why };
  const { asker, before, bound, frames, statements } = pair;
  const exchange: RecordedExchange = {
    user: asker.user,
    parameters: asker.parameters.filter(
      ([name]: readonly [string, string]) => name !== "user" && name !== "database",
    ),
    settings: [...(before?.settings.values() ?? [])],
    prepared: bound.map(({ origin }) =>
      origin.kind === "parse" ? origin.frame : queryMessage(origin.sql),
    ),
    frames,
    statements,
    positions,
  };
  return { kind: "repeatable", exchange };
}

function obstacle(pair: Pair): string | undefined {
  const { kind, writes, before, statements, localSettings } = pair;
  if (writes || kind === "rehearse") return "it writes, and writes are not repeated";
  if (localSettings) return "its transaction had settings of its own";
  return settingsObstacle(before) ?? first(statements, statementObstacle);
}

function settingsObstacle(before: SessionState | undefined): string | undefined {
  if (before === undefined) return "the settings of its session were not known";
  if (before.unclear.size > 0) return "its session had settings that only the server knows";
  return before.temporary.size > 0 ? "its session had temporary tables" : undefined;
}

function statementObstacle(statement: Statement): string | undefined {
  const { kind, looksLike, effects, normalised } = statement;
  if (OF_ITS_TRANSACTION.test(normalised)) return "it shows settings of its own transaction";
  if (kind === "cursor") return "it reads a cursor";
  if (kind === "transaction" && PLAIN_BEGIN.test(normalised)) return undefined;
  if (kind === "transaction") return "it begins or ends a transaction, or a part of one";
  const lasting = effects.filter(({ type }) => type !== "execute" && type !== "prepare");
  if (lasting.length > 0) return "it changes its session";
  const reads = READING.has(kind) || looksLike === "read";
  return reads ? undefined : "it does more than read";
}

/** Asked again it would show those of a transaction of Twinwire's. */
const OF_ITS_TRANSACTION =
  /\btransaction_(?:isolation|read_only|deferrable)\b|\bpg_settings\b|\bshow all\b/i;

/** Within the transaction that it is repeated in, it only draws a warning. */
const PLAIN_BEGIN = /^(?:begin|start transaction)(?: work| transaction)?$/i;

const READING: ReadonlySet<Statement["kind"]> = new Set([
  "read",
  "session",
  "copy_out",
  "prepare",
  "explain",
  "empty",
]);

function first<T, R>(items: readonly T[], look: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = look(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
