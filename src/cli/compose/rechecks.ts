import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../../base/clock.ts";
import type { Comparer } from "../../compare/compare.ts";
import type { Finding } from "../../compare/verdict.ts";
import type { Recorder } from "../../divergence/recorder.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { Digester } from "../../mirror/answer-capture.ts";
import { AnswerCapture } from "../../mirror/answer-capture.ts";
import { ignoringColumns } from "../../compare/rule.ts";
import { askPlans } from "../../mirror/recheck/ask-plans.ts";
import type { Barrier } from "../../mirror/recheck/barrier.ts";
import { Doubts } from "../../mirror/recheck/doubts.ts";
import type { RecheckDeps } from "../../mirror/recheck/recheck-deps.ts";
import type { Settled } from "../../mirror/recheck/settled.ts";
import { recheck } from "../../mirror/recheck/recheck.ts";
import { RecheckSession } from "../../mirror/recheck/recheck-session.ts";
import type { ShadowPosition } from "../../mirror/shadow-position.ts";
import type { Sides } from "../../proxy/sides.ts";
import type { Side } from "../../routing/side.ts";
import { otherSide } from "../../routing/side.ts";
import type { Statement } from "../../sql/statement.ts";
import type { Credentials } from "../../upstream/dial.ts";
import type { Catalogues } from "./catalogues.ts";
import type { MigrationSettings } from "./migration-settings.ts";

/** Asking both sides of a migration again, on connections of Twinwire's own. */
export type Rechecks = {
  readonly doubts: Doubts;
  /** How often asking again ended how. */
  readonly outcomes: ReadonlyMap<Settled["outcome"], number>;
  readonly count: (settled: Settled) => void;
  /** Asks at once, whatever is waiting: for an operator. */
  ask(exchange: RecordedExchange, finding: Finding): Promise<Settled>;
  /** Asks both sides for the plans of a statement, unless it is asking already. */
  askPlans(exchange: RecordedExchange, credentials: Credentials, statement: Statement): void;
  close(): void;
};

type RechecksParts = {
  readonly clock: Clock;
  readonly settings: MigrationSettings;
  readonly catalogues: Catalogues;
  readonly sides: Sides;
  readonly position: ShadowPosition;
  readonly primary: () => Side;
  /** What can hold the shadow, where the primary is that side. */
  readonly barrier: (primary: Side) => Barrier | undefined;
  readonly compare: Comparer;
  readonly newDigester: () => Digester;
  readonly recordPlans: Recorder["plans"];
  readonly credentialsOf: (user: string) => Credentials | undefined;
};

export function openRechecks(parts: RechecksParts): Rechecks {
  const { clock, settings, primary, credentialsOf } = parts;
  const outcomes = new Map<Settled["outcome"], number>();
  const count = ({ outcome }: Settled): void => {
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  const askNow = async (
    exchange: RecordedExchange,
    finding: Finding,
    varies: boolean,
    credentials: Credentials,
  ): Promise<Settled> => {
    const side = primary();
    const settled = await recheck(depsFor(parts, side, credentials), exchange, finding, varies);
    if (primary() === side) return settled;
    const { attempts, tookMs, askedTwice, varied } = settled;
    const detail = "The sides swapped while it was asked again.";
    return { outcome: "unsettled", detail, attempts, tookMs, askedTwice, varied };
  };
  let demanded = Promise.resolve();
  const doubts = new Doubts({
    clock,
    recheck: ({ exchange, finding, varies, credentials }) =>
      askNow(exchange, finding, varies, credentials),
    limits: () => settings.config().compare.recheck,
  });
  return {
    doubts,
    outcomes,
    count,
    ask(exchange, finding) {
      const credentials = credentialsOf(exchange.user) ?? { kind: "none" };
      // However many operators ask, the databases are asked one after the other.
      const asked = demanded.then(() => askNow(exchange, finding, true, credentials));
      demanded = asked.then(count, () => undefined);
      return asked;
    },
    askPlans: planAsker(parts),
    close: () => doubts.close(),
  };
}

/** So many statements may wait to be asked for their plans; what is beyond is asked when it is slow again. */
const MAX_PLANS_WAITING = 32;

/** One statement after the other: nobody waits for a plan. */
function planAsker(parts: RechecksParts): Rechecks["askPlans"] {
  let last = Promise.resolve();
  let waiting = 0;
  return (exchange, credentials, statement) => {
    if (waiting >= MAX_PLANS_WAITING) return;
    waiting++;
    last = last
      .then(() => plansOf(parts, exchange, credentials, statement))
      // A side that cannot be asked now is asked when the next answer is slow.
      .catch(() => undefined)
      .then(() => {
        waiting--;
      });
  };
}

async function plansOf(
  parts: RechecksParts,
  exchange: RecordedExchange,
  credentials: Credentials,
  statement: Statement,
): Promise<void> {
  const { clock, primary, recordPlans } = parts;
  const side = primary();
  const plans = await askPlans(depsFor(parts, side, credentials).openSession, exchange);
  if (plans === undefined || primary() !== side) return;
  const { primary: ours, shadow: theirs } = plans;
  const [old, fresh] = side === "old" ? [ours, theirs] : [theirs, ours];
  recordPlans(statement, { atMs: clock.nowMs(), old, new: fresh });
}

/** @param side the primary, from beginning to end of one recheck */
function depsFor(parts: RechecksParts, side: Side, credentials: Credentials): RecheckDeps {
  const { clock, settings, sides, position, catalogues, compare } = parts;
  const sideOf = (role: "primary" | "shadow"): Side =>
    role === "primary" ? side : otherSide(side);
  return {
    clock,
    sleep: (ms) => sleep(ms),
    openSession: (role, exchange) => {
      const { user, parameters } = exchange;
      const startup = { user, parameters, readOnly: true, limits: [] };
      return RecheckSession.open(
        {
          clock,
          dial: () => sides.dial(sideOf(role), startup, credentials),
          cancel: (server) => void sides.cancel(sideOf(role), server),
          newCapture: () =>
            new AnswerCapture(settings.config().compare.keepBytes, parts.newDigester),
          timeoutMs: settings.shadow().timeoutMs,
        },
        exchange,
      );
    },
    compare: (one, other, statements, shape, { bothPrimary, ignored }) => {
      const types = catalogues.typesWith(side);
      const { primaryTypes, primaryShapes } = types;
      const alike = { primaryTypes, primaryShapes, shadowTypes: primaryTypes };
      return compare(one, other, {
        statements,
        remembered: () => shape,
        rules: [...settings.rules(), ...ignoringColumns(ignored)],
        ...(bothPrimary ? { ...alike, shadowShapes: primaryShapes } : types),
      });
    },
    position,
    barrier: parts.barrier(side),
    patienceMs: settings.config().compare.recheck.patienceMs,
  };
}
