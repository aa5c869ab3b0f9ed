import { CodedError } from "../../base/errors.ts";
import type { Observation } from "../../compare/observation.ts";
import type { Finding, Verdict } from "../../compare/verdict.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { Statement } from "../../sql/statement.ts";
import type { Lsn } from "../../wire/position.ts";
import { formatsIn } from "../described-statements.ts";
import { agree, sqlstateOf, withoutChance } from "./answers.ts";
import { atBarrier } from "./at-barrier.ts";
import type { Barrier } from "./barrier.ts";
import type { RecheckDeps } from "./recheck-deps.ts";
import type { RecheckSession } from "./recheck-session.ts";
import { closeSessions, openSessions } from "./sessions.ts";
import type { Sessions } from "./sessions.ts";
import { DETAILS } from "./settled.ts";
import type { Outcome, Settled } from "./settled.ts";
import { nextStanding } from "./standing.ts";
import type { Standing } from "./standing.ts";

/** Waiting times between attempts, while the data changes under them. */
const FIRST_PAUSE_MS = 20;
const LAST_PAUSE_MS = 1_000;
/** So often the data may move under it. */
const MAX_MOVES = 8;
/** In so many passes one after the other the primary has to stand still and the shadow to differ. */
const PASSES = 3;
/** Beyond the patience a recheck takes no longer than that, however slow the answers are. */
const LONGEST_MS = 30_000;
/** Where the shadow can be held, data need not be waited for so long. */
const MOVES_BEFORE_BARRIER = 3;
/** How often the primary is asked in one snapshot when it has disagreed with itself before. */
const ASKED_WHEN_VARYING = 4;

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
    // Only what Twinwire says itself is known to hold no values.
    const why = error instanceof CodedError ? error.message : "a fault of Twinwire";
    return run.settled({ outcome: "unsettled" }, `It could not be asked again: ${why}.`);
  } finally {
    run.close();
  }
}

type SettledStep = { readonly kind: "settled"; readonly settled: Settled };
type Step = SettledStep | { readonly kind: "standing"; readonly standing: Standing };

function settledStep(settled: Settled): SettledStep {
  return { kind: "settled", settled };
}

class Recheck {
  readonly #deps: RecheckDeps;
  readonly #exchange: RecordedExchange;
  readonly #suspected: Finding;
  readonly #statements: readonly Statement[];
  readonly #startedMs: number;
  #sessions: Sessions | undefined;
  /** How often the shadow was asked. */
  #attempts = 0;
  /** How often the primary's data had moved. */
  #moves = 0;
  #askedTwice = false;
  /** It was known once how far the shadow is. */
  #sawPosition = false;
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
    const sessions = await openSessions(this.#deps.openSession, this.#exchange);
    this.#sessions = sessions;
    const chance = await this.#disagreement(sessions, varies ? ASKED_WHEN_VARYING : 1);
    if (chance !== undefined) return chance;
    let pauseMs = FIRST_PAUSE_MS;
    let standing: Standing | undefined;
    for (;;) {
      const step = await this.#pass(sessions, standing);
      if (step.kind === "settled") return step.settled;
      ({ standing } = step);
      if (this.#deps.clock.monotonicMs() - this.#startedMs > this.#deps.patienceMs + LONGEST_MS) {
        return this.settled({ outcome: "unsettled" }, DETAILS.tooLong);
      }
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
    if (this.#sessions !== undefined) closeSessions(this.#sessions);
  }

  /** Asks the primary in one snapshot from two sessions, and says so if it does not agree with itself. */
  async #disagreement({ primary, second }: Sessions, times: number): Promise<Settled | undefined> {
    for (let time = 0; time < times; time++) {
      await primary.begin();
      await second.begin(await primary.exportSnapshot());
      const one = await primary.ask();
      const other = await second.ask();
      await Promise.all([primary.finish(), second.finish()]);
      const failure = this.#unexpectedFailure(one);
      if (failure !== undefined) return failure;
      this.#askedTwice = true;
      const verdict = this.#withoutVarying(one, other, primary);
      if (verdict.kind === "divergent") {
        this.#varied.push("");
        return this.settled({ outcome: "nondeterministic" }, `${DETAILS.disagrees}.`);
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
    if (this.#varied.length === 0) return this.settled({ outcome: "transient" }, DETAILS.agreedNow);
    const columns = `column${this.#varied.length === 1 ? "" : "s"} ${this.#varied.join(", ")}`;
    return this.settled(
      { outcome: "nondeterministic" },
      `${DETAILS.disagrees} in ${columns}; in all else both sides agree.`,
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

  /** One pass: the primary, then the shadow once it has what the primary had. */
  async #pass(sessions: Sessions, before: Standing | undefined): Promise<Step> {
    const first = await this.#askPrimary(sessions.primary);
    if (first.kind === "settled") return first;
    const { answer, here } = first;
    const looked = await this.#lookBack(sessions, before, answer);
    if (looked.kind === "settled") return looked;
    const reached = await this.#await(here);
    if (typeof reached !== "string") return reached;
    const seen = await this.#askShadow(sessions, answer);
    if (seen.kind === "settled") return seen;
    const { finding, shadows } = seen;
    const next = nextStanding(
      looked.standing,
      { answer, isLocated: reached === "reached", finding, shadows },
      this.#deps.clock.monotonicMs(),
    );
    return { kind: "standing", standing: next };
  }

  /** What the primary's answer says of the passes before it. */
  async #lookBack(
    sessions: Sessions,
    before: Standing | undefined,
    answer: Observation,
  ): Promise<SettledStep | { readonly kind: "standing"; readonly standing: Standing | undefined }> {
    const { primary, shadow } = sessions;
    if (before === undefined) return { kind: "standing", standing: undefined };
    // The primary has gone on to what the shadow had answered: then the shadow was only ahead.
    if (agree(this.#compare(answer, before.shadows, primary, shadow))) {
      return settledStep(this.#agreed());
    }
    if (agree(this.#compare(before.answer, answer, primary, primary))) {
      const confirmed = this.#confirmed(before);
      return confirmed === undefined
        ? { kind: "standing", standing: before }
        : settledStep(confirmed);
    }
    this.#moves++;
    const outcome = await this.#ifNeverStill(sessions);
    return outcome === undefined ? { kind: "standing", standing: undefined } : settledStep(outcome);
  }

  /** Waits for the shadow to have what the primary had. */
  async #await(here: Lsn | undefined): Promise<"reached" | "unknown" | SettledStep> {
    const { position, patienceMs } = this.#deps;
    const reached = here === undefined ? "unknown" : await position.reached(here, patienceMs);
    if (reached === "late") return this.#unsettled(`${DETAILS.late} ${patienceMs} ms.`);
    if (reached === "unknown" && this.#sawPosition) return this.#unsettled(DETAILS.positionLost);
    this.#sawPosition ||= reached === "reached";
    return reached;
  }

  async #askPrimary(
    primary: RecheckSession,
  ): Promise<
    | { readonly kind: "answer"; readonly answer: Observation; readonly here: Lsn | undefined }
    | SettledStep
  > {
    await primary.begin();
    const answer = await primary.ask();
    const here = await this.#deps.position.here();
    await primary.finish();
    const failure = this.#unexpectedFailure(answer);
    return failure === undefined ? { kind: "answer", answer, here } : settledStep(failure);
  }

  /** @returns how the shadow differs, unless that settles it */
  async #askShadow(
    { primary, shadow }: Pick<Sessions, "primary" | "shadow">,
    answer: Observation,
  ): Promise<
    | { readonly kind: "differs"; readonly finding: Finding; readonly shadows: Observation }
    | SettledStep
  > {
    this.#attempts++;
    await shadow.begin();
    const shadows = await shadow.ask();
    await shadow.finish();
    const verdict = this.#compare(answer, shadows, primary, shadow);
    if (agree(verdict)) return settledStep(this.#agreed());
    if (verdict.kind === "divergent") return { kind: "differs", finding: verdict.finding, shadows };
    const why = verdict.kind === "incomparable" ? verdict.reason : verdict.kind;
    return this.#unsettled(`Asked again, the answers could not be compared (${why}).`);
  }

  /** Data that comes and goes may be the same whenever the primary is asked, but not so often. */
  #confirmed({ passes, sinceMs, isLocated, finding }: Standing): Settled | undefined {
    if (passes < PASSES) return undefined;
    if (isLocated) return this.settled({ outcome: "divergent", finding }, DETAILS.confirmed);
    const lastedMs = this.#deps.clock.monotonicMs() - sinceMs;
    if (lastedMs < this.#deps.patienceMs) return undefined;
    return this.settled(
      { outcome: "divergent", finding },
      `${DETAILS.confirmed} ${DETAILS.noPosition}`,
    );
  }

  async #ifNeverStill(
    sessions: Pick<Sessions, "primary" | "shadow">,
  ): Promise<Settled | undefined> {
    const { barrier } = this.#deps;
    const most = barrier === undefined ? MAX_MOVES : MOVES_BEFORE_BARRIER;
    if (this.#moves < most) return undefined;
    const exact = barrier && (await this.#atBarrier(sessions, barrier));
    return exact ?? this.settled({ outcome: "unsettled" }, DETAILS.neverStill);
  }

  /** An exact comparison of data that never stands still; undefined where it cannot be had. */
  #atBarrier(
    { primary, shadow }: Pick<Sessions, "primary" | "shadow">,
    barrier: Barrier,
  ): Promise<Settled | undefined> {
    return atBarrier(barrier, primary, this.#deps, async (answer, goThere) => {
      const failure = this.#unexpectedFailure(answer);
      if (failure !== undefined || !(await goThere())) return failure;
      const seen = await this.#askShadow({ primary, shadow }, answer);
      if (seen.kind === "settled") return seen.settled;
      return this.settled({ outcome: "divergent", finding: seen.finding }, DETAILS.atBarrier);
    });
  }

  #unsettled(detail: string): SettledStep {
    return settledStep(this.settled({ outcome: "unsettled" }, detail));
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
