import type { Observation } from "../compare/observation.ts";
import type { PreparedChange, PreparedStatement } from "../routing/prepared-statements.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { SkipReason } from "../routing/skip-reason.ts";
import type { RehearsedAs } from "../routing/route.ts";
import type { Request } from "../routing/request.ts";
import type { Statement } from "../sql/statement.ts";
import type { Credentials } from "../upstream/dial.ts";
import type { AnswerCapture } from "./answer-capture.ts";

/** What is particular to an exchange that is rolled back on the shadow. */
export type Rehearsal = {
  readonly as: RehearsedAs;
  /** The shadow's sequences that it draws from. */
  readonly sequences: readonly string[];
  readonly generated: ((tableOid: number, attribute: number) => boolean) | undefined;
  /** Nobody else has written the tables that its answer depends on, for longer than the shadow lags. */
  readonly isQuiet: () => boolean;
  /** The shadow answered while the client had not sent COMMIT, so what it wrote cannot have come over. */
  early: boolean;
  /** It has been rolled back, or never ran. */
  undone: boolean;
};

/** Whose session asks. */
export type Asker = {
  readonly user: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly credentials: Credentials;
};

/** One exchange that runs on both sides: what is sent to the shadow, and what each side answered. */
export type Pair = {
  readonly kind: "mirror" | "apply" | "rehearse";
  /** Of kind `rehearse` only. */
  rehearsal: Rehearsal | undefined;
  /**
   * Where writes are rehearsed: what its transaction may do on the shadow. Elsewhere undefined, since
   * the session as a whole is read-only or is not.
   */
  access: "read_only" | "read_write" | undefined;
  readonly asker: Asker;
  readonly statements: readonly Statement[];
  /** The request as it goes to the shadow. */
  readonly frames: Buffer;
  readonly changes: readonly PreparedChange[];
  /** Statements that the shadow session must have before it runs. */
  bound: readonly PreparedStatement[];
  /** First of its transaction: here the shadow may be brought in step. */
  begins: boolean;
  /**
   * The client's settings before it; undefined until the primary has answered everything before it.
   * Two pairs of one `version` need no bringing in step between them.
   */
  before: SessionState | undefined;
  version: number;
  /** Its transaction has settings of its own, which `before` does not have. */
  readonly localSettings: boolean;
  /** Transactions of one session by number, so that a broken one can be dropped as a whole. */
  readonly transaction: number;
  /** It does more than read, so its transaction is not repeated beside others. */
  readonly writes: boolean;
  /** May run on the shadow: at once, or when dual writing, once the primary has committed. */
  ready: boolean;
  /** It is ready once the shadow has what the primary had when it answered. */
  followsAnswer: boolean;
  /** It may be sent to the shadow together with others. */
  shareable: boolean;
  /** It was sent to the shadow alone, so the time of its answer there is its own. */
  timed: boolean;
  /** Collects the primary's answer; undefined once it is complete. */
  capture: AnswerCapture | undefined;
  /** Memory accounted for it in the session's and the migration's budget. */
  heldBytes: number;
  cancelled: boolean;
  primary: Observation | undefined;
  shadow: Observation | undefined;
  /** The side answered with an error, whatever is known of the rest. */
  primaryFailed: boolean;
  shadowFailed: boolean;
};

/**
 * @param asked what is known of the request
 * @param transaction its transaction's number in the session
 */
export function newPair(
  request: Request,
  asked: {
    readonly kind: Pair["kind"];
    readonly statements: readonly Statement[];
    readonly facts: { readonly obstacle: SkipReason | undefined };
    readonly open: boolean;
    readonly localSettings: boolean;
  },
  asker: Asker,
  transaction: number,
): Pair {
  const { kind, statements, facts, open, localSettings } = asked;
  return {
    kind,
    rehearsal: undefined,
    access: undefined,
    asker,
    statements,
    frames: request.frames ?? NOTHING,
    changes: request.changes,
    bound: request.bound,
    begins: !open,
    before: undefined,
    version: 0,
    localSettings,
    transaction,
    writes: facts.obstacle !== undefined,
    ready: kind !== "apply",
    followsAnswer: false,
    shareable: false,
    timed: true,
    capture: undefined,
    heldBytes: 0,
    cancelled: false,
    primary: undefined,
    shadow: undefined,
    primaryFailed: false,
    shadowFailed: false,
  };
}

const NOTHING = Buffer.alloc(0);
