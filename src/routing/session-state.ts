import type { SessionEffect } from "../sql/statement.ts";

/**
 * What a session has become by what its client said, as a value: enough to make another server
 * session equal to it, and to know when that is impossible.
 */
export type SessionState = {
  /** Per setting, the SET statement that made it so. */
  readonly settings: ReadonlyMap<string, string>;
  /** Settings whose value only the server knows; `?` for one whose name is not known either. */
  readonly unclear: ReadonlySet<string>;
  readonly channels: ReadonlySet<string>;
  readonly heldCursors: ReadonlySet<string>;
  /** Relations made TEMPORARY, as written. */
  readonly temporary: ReadonlySet<string>;
};

const NEW_STATE: SessionState = {
  settings: new Map(),
  unclear: new Set(),
  channels: new Set(),
  heldCursors: new Set(),
  temporary: new Set(),
};

/** A session's state with what its open transaction may still undo. */
export type TransactionalState = {
  readonly current: SessionState;
  /** What ROLLBACK returns to; undefined outside a transaction. */
  readonly before: SessionState | undefined;
  readonly savepoints: readonly { readonly name: string; readonly state: SessionState }[];
  /** Session-level advisory locks may be held; no rollback undoes them. */
  readonly advisoryLocks: boolean;
};

export const NEW_SESSION: TransactionalState = {
  current: NEW_STATE,
  before: undefined,
  savepoints: [],
  advisoryLocks: false,
};

/** The state after a statement with this effect has succeeded. `written`: the relations it wrote. */
export function applyEffect(
  state: TransactionalState,
  effect: SessionEffect,
  written: readonly string[],
): TransactionalState {
  switch (effect.type) {
    case "begin":
      return state.before === undefined ? { ...state, before: state.current } : state;
    case "commit":
      return committed(state, effect.chain);
    case "rollback":
      return rolledBack(state, effect.chain);
    case "prepare_transaction":
      return committed(state, false);
    case "savepoint":
      return {
        ...state,
        savepoints: [...state.savepoints, { name: effect.name, state: state.current }],
      };
    case "release":
    case "rollback_to":
      return backToSavepoint(state, effect.name, effect.type === "rollback_to");
    case "discard":
      return discarded(state, effect.target);
    case "advisory_lock":
      return { ...state, advisoryLocks: true };
    default:
      return { ...state, current: changed(state.current, effect, written) };
  }
}

/** The server says no transaction is open: whatever the effects said, it has ended. */
export function settle(state: TransactionalState, failed: boolean): TransactionalState {
  if (state.before === undefined && state.savepoints.length === 0) return state;
  return failed ? rolledBack(state, false) : committed(state, false);
}

/** Why a session with this state cannot be moved to another server. */
export function pinnedBy(state: TransactionalState): PinReason | undefined {
  if (state.current.temporary.size > 0) return "temporary_table";
  if (state.advisoryLocks) return "advisory_lock";
  if (state.current.heldCursors.size > 0) return "held_cursor";
  if (state.current.channels.size > 0) return "listen";
  if (state.current.unclear.size > 0) return "unclear_state";
  return undefined;
}

export type PinReason =
  | "temporary_table"
  | "advisory_lock"
  | "held_cursor"
  | "listen"
  | "replication"
  | "unclear_state"
  | "not_accepted";

function committed(state: TransactionalState, chain: boolean): TransactionalState {
  return { ...state, before: chain ? state.current : undefined, savepoints: [] };
}

function rolledBack(state: TransactionalState, chain: boolean): TransactionalState {
  const current = state.before ?? state.current;
  return { ...state, current, before: chain ? current : undefined, savepoints: [] };
}

function backToSavepoint(
  state: TransactionalState,
  name: string,
  undo: boolean,
): TransactionalState {
  const index = state.savepoints.findLastIndex((savepoint) => savepoint.name === name);
  const savepoint = state.savepoints[index];
  if (savepoint === undefined) return state;
  return {
    ...state,
    current: undo ? savepoint.state : state.current,
    savepoints: state.savepoints.slice(0, undo ? index + 1 : index),
  };
}

function discarded(
  state: TransactionalState,
  target: "all" | "plans" | "sequences" | "temp",
): TransactionalState {
  if (target === "all") return NEW_SESSION;
  if (target !== "temp") return state;
  return { ...state, current: { ...state.current, temporary: new Set() } };
}

function changed(
  state: SessionState,
  effect: SessionEffect,
  written: readonly string[],
): SessionState {
  switch (effect.type) {
    case "set":
      return effect.local ? state : withSetting(state, effect.name, effect.sql);
    case "set_unknown":
      if (effect.local) return state;
      return { ...state, unclear: new Set([...state.unclear, effect.name ?? "?"]) };
    case "reset":
      return withSetting(state, effect.name, undefined);
    case "reset_all":
      return { ...state, settings: new Map(keptByResetAll(state.settings)), unclear: new Set() };
    case "listen":
      return { ...state, channels: new Set([...state.channels, effect.channel]) };
    case "unlisten":
      return { ...state, channels: without(state.channels, effect.channel) };
    case "declare_cursor":
      return effect.hold
        ? { ...state, heldCursors: new Set([...state.heldCursors, effect.name]) }
        : state;
    case "close_cursor":
      return { ...state, heldCursors: without(state.heldCursors, effect.name) };
    case "temporary_table":
      return { ...state, temporary: new Set([...state.temporary, ...named(written)]) };
    default:
      return state;
  }
}

/** A temporary relation whose name is not known still pins the session. */
function named(written: readonly string[]): readonly string[] {
  return written.length > 0 ? written : ["?"];
}

/** Later settings win, and `role` is undone by SET SESSION AUTHORIZATION, so order is kept. */
function withSetting(state: SessionState, name: string, sql: string | undefined): SessionState {
  const settings = new Map(state.settings);
  settings.delete(name);
  if (name === "session_authorization") settings.delete("role");
  if (sql !== undefined) settings.set(name, sql);
  const unclear = state.unclear.has(name) ? without(state.unclear, name) : state.unclear;
  return { ...state, settings, unclear };
}

/** RESET ALL spares who the session acts as. */
function keptByResetAll(settings: ReadonlyMap<string, string>): [string, string][] {
  return [...settings].filter(([name]) => name === "role" || name === "session_authorization");
}

function without(names: ReadonlySet<string>, name: string | undefined): ReadonlySet<string> {
  return name === undefined ? new Set() : new Set([...names].filter((other) => other !== name));
}
