import type { Clock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { Side } from "../../src/routing/side.ts";
import type { ConductorDeps } from "../../src/cutover/conductor.ts";
import type { Sleep } from "../../src/cutover/settle-within.ts";
import type { ReadinessFacts } from "../../src/cutover/readiness.ts";
import type {
  CutoverEvent,
  CutoverStore,
  StoredToggle,
  ToggleChange,
} from "../../src/cutover/store-port.ts";
import type { MoveOutcome, PauseOutcome, TrafficPort } from "../../src/routing/traffic-port.ts";

/** A clock that stands still until it is moved; sleepers wake when their time has come. */
export class FakeTime {
  nowMs = 1_000;
  readonly #sleepers = new Set<{ atMs: number; wake: () => void }>();

  readonly clock: Clock = {
    nowMs: (): number => this.nowMs,
    monotonicMs: (): number => this.nowMs,
  };

  readonly sleep: Sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new Error("aborted"));
      const sleeper = { atMs: this.nowMs + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal.addEventListener("abort", () => {
        this.#sleepers.delete(sleeper);
        reject(new Error("aborted"));
      });
    });

  /** When the next sleeper wakes, or undefined if nobody sleeps. */
  next(): number | undefined {
    const times = [...this.#sleepers].map((sleeper) => sleeper.atMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  advance(ms: number): void {
    this.nowMs += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.atMs > this.nowMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

/** The control store's contract in memory, for tests that break it in between. */
export class MemoryStore implements CutoverStore {
  record: StoredToggle | undefined;
  readonly documents: Map<string, unknown> = new Map();
  readonly history: StoredToggle[] = [];
  readonly told: CutoverEvent[] = [];
  /** Called before and after each change; what it throws is what the caller sees. */
  around: (when: "before" | "after", change: ToggleChange) => void = () => {};
  readFails = 0;

  async read(): Promise<StoredToggle | undefined> {
    if (this.readFails > 0) {
      this.readFails--;
      throw new Error("the disk is full");
    }
    return this.record;
  }

  async compareAndSet(
    change: ToggleChange,
  ): Promise<
    | { kind: "stored"; record: StoredToggle }
    | { kind: "conflict"; record: StoredToggle | undefined }
  > {
    this.around("before", change);
    if ((this.record?.revision ?? 0) !== change.expectedRevision) {
      return { kind: "conflict", record: this.record };
    }
    const { route, attempt } = change;
    const record = { route, attempt, revision: change.expectedRevision + 1 };
    this.record = record;
    this.history.push(record);
    for (const document of change.attempts) {
      this.documents.set(document.id, JSON.parse(JSON.stringify(document)));
    }
    this.around("after", change);
    return { kind: "stored", record };
  }

  async acquireLease(): Promise<{ release(): Promise<void> } | undefined> {
    return { release: async () => {} };
  }

  async attempts(): Promise<readonly unknown[]> {
    return [...this.documents.values()].reverse();
  }

  async appendEvent(_migration: string, event: CutoverEvent): Promise<void> {
    this.told.push(event);
  }
}

/** The proxies of a migration as the conductor sees them: a primary, paused or not. */
export class FakeTraffic implements TrafficPort {
  primary: Side;
  paused = false;
  readonly calls: string[] = [];
  standby: AbortSignal | undefined;
  onPrepare: () => Promise<{ ready: number; failed: number }> = async () => ({
    ready: 2,
    failed: 0,
  });
  onPause: () => Promise<PauseOutcome> = async () => ({ kind: "quiet" });
  onMove: () => Promise<MoveOutcome> = async () => ({ moved: 2, ended: {} });

  constructor(primary: Side) {
    this.primary = primary;
  }

  async prepare(to: Side, signal: AbortSignal): Promise<{ ready: number; failed: number }> {
    this.calls.push(`prepare ${to}`);
    this.standby = signal;
    return this.onPrepare();
  }

  async pause(deadlineMs: number): Promise<PauseOutcome> {
    this.calls.push(`pause until ${deadlineMs}`);
    this.paused = true;
    return this.onPause();
  }

  async move(to: Side, epoch: number): Promise<MoveOutcome> {
    this.calls.push(`move ${to} ${epoch}`);
    const outcome = await this.onMove();
    this.primary = to;
    return outcome;
  }

  resume(): void {
    this.calls.push("resume");
    this.paused = false;
  }
}

export const READY: ReadinessFacts = {
  shadow: { enabled: true, state: "on" },
  target: { reachable: true, detail: "" },
  statements: { seen: 100, compared: 90, comparable: 90 },
  openDivergences: 0,
  unsettled: 0,
  degraded: 0,
  bars: { minCompared: 0, maxDivergences: 0, maxUnsettled: undefined, maxDegraded: undefined },
  driftedTables: [],
  pinnedSessions: {},
  replicationManaged: false,
};

/** Ports for one conductor; ids count up. */
export function conductorDeps(
  store: CutoverStore,
  traffic: TrafficPort,
  time: FakeTime,
  more?: Partial<ConductorDeps>,
): ConductorDeps {
  let lastId = 0;
  return {
    migration: "orders",
    store,
    traffic,
    clock: time.clock,
    sleep: time.sleep,
    log: silentLogger,
    newId: () => `attempt-${time.nowMs}-${++lastId}`,
    facts: () => READY,
    maxPauseMs: () => 5_000,
    ...more,
  };
}

export function never<T>(): Promise<T> {
  return new Promise(() => {});
}
