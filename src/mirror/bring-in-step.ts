import type { PreparedStatement } from "../routing/prepared-statements.ts";
import type { SessionState } from "../routing/session-state.ts";
import {
  closeStatementMessage,
  queryMessage,
  SYNC_MESSAGE,
} from "../wire/postgres/frontend-messages.ts";

/** Messages to send, and how many ReadyForQuery they will be answered with. */
export type Preparation = { readonly frames: readonly Buffer[]; readonly answers: number };

/**
 * Gives a session outside a transaction exactly these settings.
 * @param kept settings that are not the client's to make
 */
export function settingsInStep(state: SessionState, kept: ReadonlySet<string>): Preparation {
  const settings = [...state.settings].filter(([name]) => !kept.has(name));
  const statements = [
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    ...settings.map(([, sql]) => sql),
  ];
  return { frames: statements.map(queryMessage), answers: statements.length };
}

/** Makes a prepared statement, whether or not another one has its name. */
export function preparedInStep(statement: PreparedStatement): Preparation {
  const { name, origin } = statement;
  if (origin.kind === "parse") {
    return { frames: [closeStatementMessage(name), origin.frame, SYNC_MESSAGE], answers: 1 };
  }
  return {
    frames: [closeStatementMessage(name), SYNC_MESSAGE, queryMessage(origin.sql)],
    answers: 2,
  };
}
