import { messageOf } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { RememberedShape } from "../../compare/context.ts";
import type { Observation } from "../../compare/observation.ts";
import type { Finding, Verdict } from "../../compare/verdict.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { Statement } from "../../sql/statement.ts";
import type { Lsn } from "../../wire/position.ts";
import { formatsIn } from "../described-statements.ts";
import type { Reached } from "../shadow-position.ts";
import { agree, sqlstateOf, withoutChance } from "./answers.ts";
import type { Barrier, HeldShadow } from "./barrier.ts";
import type { RecheckSession } from "./recheck-session.ts";

/** What asking again has said of a difference. `detail` is a sentence without customer values. */
export type Settled = {
  readonly detail: string;
  readonly attempts: number;
  readonly tookMs: number;
  /** The primary was asked twice in one snapshot. */
  readonly askedTwice: boolean;
  /** Columns in which it disagreed with itself then; `` for whole rows. They were left out of what came after. */
  readonly varied: readonly string[];
} & (
  | { readonly outcome: "divergent"; readonly finding: Finding }
  | { readonly outcome: "nondeterministic" | "transient" | "unsettled" }
);

export type RecheckDeps = {
  readonly clock: Clock;
  readonly sleep: (ms: number) => Promise<void>;
  readonly openSession: (
    role: "primary" | "shadow",
    exchange: RecordedExchange,
  ) => Promise<RecheckSession>;
  readonly compare: (
    primary: Observation,
    shadow: Observation,
    statements: readonly Statement[],
    shape: RememberedShape | undefined,
    how: {
      /** Both come from the primary. */
      readonly bothPrimary: boolean;
      /** Columns that are left out. */
      readonly ignored: readonly string[];
    },
  ) => Verdict;
  readonly position: {
    here(): Promise<Lsn | undefined>;
    reached(lsn: Lsn, timeoutMs: number): Promise<Reached>;
  };
  /** For data that never stands still, where whoever fills the shadow offers one. */
  readonly barrier: Barrier | undefined;
  /** How long a difference must last where nothing tells how far the shadow is, and how long a shadow is waited for. */
  readonly patienceMs: number;
};

/** Waiting times between attempts, while the data changes under them. */
const FIRST_PAUSE_MS = 20;
const LAST_PAUSE_MS = 1_000;
const MAX_ATTEMPTS = 8;
/** Where the shadow can be held, data need not be waited for so long. */
const MAX_ATTEMPTS_BEFORE_BARRIER = 3;
/** How often the primary is asked in one snapshot when it has disagreed with itself before. */
const ASKED_WHEN_VARYING = 4;

type Sessions = {
  readonly primary: RecheckSession;
  readonly second: RecheckSession;
  readonly shadow: RecheckSession;
};

/**
 * Asks both sides again about a difference: the primary twice in one snapshot, by two sessions, so that what depends on
 * the clock or on chance shows; the shadow once it has applied what that snapshot sees; and the primary
 * once more, to see that the data stood still meanwhile. Never throws.
 * @param suspected the difference as it was seen
 * @param varies the primary is known to disagree with itself about this statement now and then
 */
export async function recheck(
  deps: RecheckDeps,
  exchange: RecordedExchange,
  suspected: Finding,
  varies: boolean,
): Promise<Settled> {
  const startedMs = deps.clock.monotonicMs();
  const run = new Recheck(deps, exchange, suspected, startedMs);
  try {
    return await run.settle(varies);
  } catch (error) {
    return run.settled(
      { outcome: "unsettled" },
      `It could not be asked again: ${messageOf(error)}.`,
    );
  } finally {
    run.close();
  }
}

type Outcome =
  | { readonly outcome: "divergent"; readonly finding: Finding }
  | { readonly outcome: "nondeterministic" | "transient" | "unsettled" };

class Recheck {
  readonly #deps: RecheckDeps;
  readonly #exchange: RecordedExchange;
  readonly #suspected: Finding;
  readonly #statements: readonly Statement[];
  readonly #startedMs: number;
  #sessions: Partial<Sessions> = {};
  #attempts = 0;
  #askedTwice = false;
  readonly #varied: string[] = [];

  constructor(
    deps: RecheckDeps,
    exchange: RecordedExchange,
    suspected: Finding,
    startedMs: number,
  ) {
    this.#deps = deps;
    this.#exchange = exchange;
    this.#suspected = suspected;
    this.#startedMs = startedMs;
    this.#statements = exchange.statements.map(withoutChance);
  }

  async settle(varies: boolean): Promise<Settled> {
    const sessions = await this.#open();
    const chance = await this.#disagreement(sessions, varies ? ASKED_WHEN_VARYING : 1);
    if (chance !== undefined) return chance;
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      this.#attempts++;
      const most = this.#deps.barrier === undefined ? MAX_ATTEMPTS : MAX_ATTEMPTS_BEFORE_BARRIER;
      const last = this.#attempts >= most;
      const outcome = await this.#attempt(sessions, last);
      if (outcome !== undefined) return outcome;
      await this.#deps.sleep(pauseMs);
      pauseMs = Math.min(LAST_PAUSE_MS, pauseMs * 2);
    }
  }

  settled(outcome: Outcome, detail: string): Settled {
    const tookMs = this.#deps.clock.monotonicMs() - this.#startedMs;
    const { attempts, askedTwice, varied } = this.#facts;
    return { ...outcome, detail, attempts, tookMs, askedTwice, varied };
  }

  get #facts(): Pick<Settled, "attempts" | "askedTwice" | "varied"> {
    return { attempts: this.#attempts, askedTwice: this.#askedTwice, varied: [...this.#varied] };
  }

  close(): void {
    for (const session of Object.values(this.#sessions)) session.close();
  }

  /** One after the other, so that those that are open are closed when another cannot be had. */
  async #open(): Promise<Sessions> {
    const { openSession } = this.#deps;
    const primary = await openSession("primary", this.#exchange);
    this.#sessions = { primary };
    const second = await openSession("primary", this.#exchange);
    this.#sessions = { primary, second };
    const shadow = await openSession("shadow", this.#exchange);
    const sessions = { primary, second, shadow };
    this.#sessions = sessions;
    return sessions;
  }

  /** Asks the primary in one snapshot from two sessions, and says so if it does not agree with itself. */
  async #disagreement({ primary, second }: Sessions, times: number): Promise<Settled | undefined> {
    for (let time = 0; time < times; time++) {
      await primary.begin();
      const { name } = await primary.exportSnapshot();
      await second.begin(name);
      const one = await primary.ask();
      const other = await second.ask();
      const failure = this.#unexpectedFailure(one);
      if (failure !== undefined) return failure;
      this.#askedTwice = true;
      const verdict = this.#withoutVarying(one, other, primary);
      if (verdict.kind === "divergent") {
        this.#varied.push("");
        return this.settled({ outcome: "nondeterministic" }, DISAGREES);
      }
      if (!agree(verdict)) {
        return this.settled(
          { outcome: "unsettled" },
          "The primary's answers could not be compared.",
        );
      }
    }
    return undefined;
  }

  /** Compares two answers of the primary, leaving out column after column that differs. */
  #withoutVarying(one: Observation, other: Observation, primary: RecheckSession): Verdict {
    for (;;) {
      const verdict = this.#compare(one, other, primary, primary);
      const column = verdict.kind === "divergent" ? verdict.finding.column : undefined;
      if (column === undefined || this.#varied.includes(column)) return verdict;
      this.#varied.push(column);
    }
  }

  /** Both sides agree now, but for what the primary itself answers differently each time. */
  #agreed(): Settled {
    if (this.#varied.length === 0) return this.settled({ outcome: "transient" }, AGREED_NOW);
    const columns = `column${this.#varied.length === 1 ? "" : "s"} ${this.#varied.join(", ")}`;
    return this.settled(
      { outcome: "nondeterministic" },
      `${DISAGREES.slice(0, -1)} in ${columns}; in all else both sides agree.`,
    );
  }

  /** What fails now without having failed then says nothing about the difference. */
  #unexpectedFailure(answer: Observation): Settled | undefined {
    if (answer.kind === "lost") {
      return this.settled(
        { outcome: "unsettled" },
        `Asked again, the primary did not answer (${answer.reason}).`,
      );
    }
    const { reason } = this.#suspected;
    if (reason === "error_on_primary" || reason === "error_code" || reason === "error_message") {
      return undefined;
    }
    const sqlstate = sqlstateOf(answer);
    if (sqlstate === undefined) return undefined;
    return this.settled(
      { outcome: "unsettled" },
      `Asked again, the primary failed with SQLSTATE ${sqlstate}, which it had not done before.`,
    );
  }

  async #attempt(sessions: Sessions, last: boolean): Promise<Settled | undefined> {
    const { primary, shadow } = sessions;
    const { position, patienceMs } = this.#deps;
    await primary.begin();
    const { sees } = await primary.exportSnapshot();
    const here = await position.here();
    const before = await primary.ask();
    const failure = this.#unexpectedFailure(before);
    if (failure !== undefined) return failure;
    const held = last ? await this.#hold({ sees, position: here }) : undefined;
    try {
      const reached =
        held !== undefined || here === undefined
          ? "unknown"
          : await position.reached(here, patienceMs);
      if (reached === "late") {
        return this.settled(
          { outcome: "unsettled" },
          `The shadow had not caught up with the primary within ${patienceMs} ms.`,
        );
      }
      await shadow.begin();
      const shadows = await shadow.ask();
      const verdict = this.#compare(before, shadows, primary, shadow);
      if (agree(verdict)) return this.#agreed();
      if (verdict.kind !== "divergent") {
        const why = verdict.kind === "incomparable" ? verdict.reason : verdict.kind;
        return this.settled(
          { outcome: "unsettled" },
          `Asked again, the answers could not be compared (${why}).`,
        );
      }
      if (held !== undefined) {
        return this.settled(
          { outcome: "divergent", finding: verdict.finding },
          "The shadow was held right after everything that a snapshot of the primary sees, and still differed.",
        );
      }
      return await this.#confirm(sessions, {
        before,
        shadows,
        finding: verdict.finding,
        reached,
        last,
      });
    } finally {
      await held?.release();
    }
  }

  /** The shadow differs: what counts is whether the primary's data stood still meanwhile. */
  async #confirm(
    { primary, shadow }: Sessions,
    seen: {
      readonly before: Observation;
      readonly shadows: Observation;
      readonly finding: Finding;
      readonly reached: Reached;
      readonly last: boolean;
    },
  ): Promise<Settled | undefined> {
    const { before, shadows, finding, reached, last } = seen;
    await primary.begin();
    const after = await primary.ask();
    if (agree(this.#compare(before, after, primary, primary))) {
      if (reached === "reached") {
        return this.settled({ outcome: "divergent", finding }, CONFIRMED);
      }
      const lastedMs = this.#deps.clock.monotonicMs() - this.#startedMs;
      if (lastedMs >= this.#deps.patienceMs) {
        return this.settled({ outcome: "divergent", finding }, `${CONFIRMED} ${NO_POSITION}`);
      }
      // It may only be late. Such waiting is no attempt: nothing moved under it.
      this.#attempts--;
      return undefined;
    }
    if (agree(this.#compare(after, shadows, primary, shadow))) return this.#agreed();
    return last ? this.settled({ outcome: "unsettled" }, NEVER_STILL) : undefined;
  }

  async #hold(snapshot: Parameters<Barrier["hold"]>[0]): Promise<HeldShadow | undefined> {
    const { barrier, patienceMs } = this.#deps;
    return barrier?.hold(snapshot, AbortSignal.timeout(patienceMs));
  }

  #compare(
    one: Observation,
    other: Observation,
    first: RecheckSession,
    second: RecheckSession,
  ): Verdict {
    const { prepared, frames } = this.#exchange;
    const shape =
      prepared.length === 1 && first.described !== undefined
        ? {
            primary: first.described,
            shadow: second.described ?? first.described,
            formats: formatsIn(Buffer.from(frames)),
          }
        : undefined;
    const how = { bothPrimary: first === second, ignored: this.#varied };
    return this.#deps.compare(one, other, this.#statements, shape, how);
  }
}

const DISAGREES = "Asked twice in one snapshot, the primary disagrees with itself.";
const AGREED_NOW = "Asked again, both sides gave the same answer.";
const CONFIRMED = "Asked again, the primary agreed with itself and the shadow still differed.";
const NO_POSITION = "Nothing tells how far the shadow is; the difference lasted.";
const NEVER_STILL = "The data changed on the primary each time it was asked again.";
