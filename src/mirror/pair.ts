import type { Observation } from "../compare/observation.ts";
import type { PreparedChange, PreparedStatement } from "../routing/prepared-statements.ts";
import type { SessionState } from "../routing/session-state.ts";
import type { Statement } from "../sql/statement.ts";
import type { AnswerCapture } from "./answer-capture.ts";

/** One exchange that runs on both sides: what is sent to the shadow, and what each side answered. */
export type Pair = {
  readonly kind: "mirror" | "apply";
  readonly statements: readonly Statement[];
  /** The request, COPY data included, as it goes to the shadow. */
  frames: Buffer;
  readonly changes: readonly PreparedChange[];
  readonly bound: readonly PreparedStatement[];
  /** First of its transaction: here the shadow may be brought in step. */
  begins: boolean;
  /**
   * The client's settings before it; undefined until the primary has answered everything before it.
   * Two pairs of one `version` need no bringing in step between them.
   */
  before: SessionState | undefined;
  version: number;
  /** Transactions of one session by number, so that a broken one can be dropped as a whole. */
  readonly transaction: number;
  /** It writes: losing it on the shadow leaves its tables drifted. */
  readonly writes: boolean;
  readonly written: readonly string[];
  /** May run on the shadow: at once, or when dual writing, once the primary has committed. */
  ready: boolean;
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
