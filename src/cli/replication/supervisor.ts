import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Backoff } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { ReplicationRecord } from "../../control/replication-record.ts";
import type { VerificationRecord } from "../../control/verification-record.ts";
import type { ReplicationState } from "../../replication/replication-state.ts";
import { REPLICATION_OFF } from "../../replication/replication-state.ts";
import { NOT_VERIFIED } from "../../verify/verify-state.ts";
import type { VerifyState } from "../../verify/verify-state.ts";
import type { HeldReplication } from "./held-replication.ts";
import { Holds } from "./held-replication.ts";
import type { FromReplicator, ToReplicator, VerifyRequest } from "./protocol.ts";

const WORKER = fileURLToPath(new URL("./replication-worker.js", import.meta.url));
/** It ends what it is doing within this, or is ended. */
const STOP_MS = 10_000;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 10_000;
/** A process that has lived so long was not in trouble from the start. */
const SETTLED_MS = 30_000;

/** The replication of one migration, run in a process of its own so that its load is not in a client's way. */
export type Replicator = {
  readonly state: ReplicationState;
  readonly wanted: boolean;
  /** Starts it, and has it started again whenever Twinwire starts. Forgets what it failed of. */
  start(): void;
  /** Ends it; what it has made in the databases stays, so that it can go on. */
  stop(): Promise<void>;
  /** Ends it for a reason that it cannot see itself. Nothing happens where it is not wanted, or has failed already. */
  fail(reason: string): void;
  /** Stops it, without forgetting that it is wanted. */
  close(): Promise<void>;
  /** Of the rows of both sides: what was asked for last. */
  readonly verification: VerifyState;
  /** Begins one, instead of one that runs. */
  verify(what: VerifyRequest): void;
  /** Has NEW stand still; undefined where that cannot be had. */
  hold(signal: AbortSignal): Promise<HeldReplication | undefined>;
};

export type SupervisorDeps = {
  readonly record: ReplicationRecord;
  readonly verified: VerificationRecord;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** What the process is told first, as of now. */
  readonly begin: (epoch: number) => Extract<ToReplicator, { kind: "begin" }>;
  /** Of whoever watches from outside, to be shown with its own. */
  readonly warnings: () => readonly string[];
  readonly onEvent: (detail: Extract<FromReplicator, { kind: "event" }>["detail"]) => void;
};

export function openReplicator(deps: SupervisorDeps): Replicator {
  const supervisor = new Supervisor(deps);
  if (deps.record.wanted && deps.record.incident === undefined) supervisor.start();
  return supervisor;
}

class Supervisor implements Replicator {
  readonly #deps: SupervisorDeps;
  readonly #backoff: Backoff;
  readonly #holds = new Holds((message) => this.#tell(message));
  #child: ChildProcess | undefined;
  #retry: NodeJS.Timeout | undefined;
  #state: ReplicationState;
  #isRunning = false;
  #verification: VerifyState;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(FIRST_RETRY_MS, LONGEST_RETRY_MS, deps.random);
    const { state } = deps.verified;
    this.#verification = state === undefined ? NOT_VERIFIED : (JSON.parse(state) as VerifyState);
    const { wanted, incident } = deps.record;
    this.#state =
      wanted && incident !== undefined
        ? { ...REPLICATION_OFF, phase: "failed", detail: incident }
        : REPLICATION_OFF;
  }

  get state(): ReplicationState {
    const { warnings } = this.#state;
    return { ...this.#state, warnings: [...this.#deps.warnings(), ...warnings] };
  }

  get verification(): VerifyState {
    return this.#verification;
  }

  verify(what: VerifyRequest): void {
    const detail = "It begins.";
    this.#verification = { ...NOT_VERIFIED, phase: "running", detail };
    this.#tell({ kind: "verify", ...what });
  }

  get wanted(): boolean {
    return this.#deps.record.wanted;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#deps.record.setWanted(true);
    this.#isRunning = true;
    this.#backoff.reset();
    this.#spawn();
  }

  async stop(): Promise<void> {
    this.#deps.record.setWanted(false);
    await this.close();
    this.#state = { ...this.#state, phase: "off", detail: "It was stopped." };
  }

  fail(reason: string): void {
    const { record } = this.#deps;
    if (!record.wanted || record.incident !== undefined) return;
    this.#failed(reason);
    void this.close();
  }

  async close(): Promise<void> {
    this.#isRunning = false;
    clearTimeout(this.#retry);
    const child = this.#child;
    if (child === undefined) return;
    const ended = once(child, "exit");
    this.#tell({ kind: "stop" });
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(late);
  }

  async hold(signal: AbortSignal): Promise<HeldReplication | undefined> {
    return this.#child === undefined ? undefined : await this.#holds.take(signal);
  }

  #spawn(): void {
    const { record, log, clock, begin } = this.#deps;
    const child = fork(WORKER, {
      execArgv: ["--enable-source-maps"],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child = child;
    const bornAtMs = clock.monotonicMs();
    child.on("message", (message) => this.#heard(message as FromReplicator));
    child.on("error", (error) => log.error({ error: messageOf(error) }, "the replication process"));
    child.once("exit", (code, signal) => {
      if (this.#child === child) this.#child = undefined;
      this.#holds.lost();
      if (this.#verification.phase === "running") {
        const detail = "The process that replicates ended. Ask for it again.";
        this.#verified({ ...this.#verification, phase: "failed", detail });
      }
      if (clock.monotonicMs() - bornAtMs > SETTLED_MS) this.#backoff.reset();
      if (!this.#isRunning) return;
      const waitMs = this.#backoff.nextMs();
      log.warn({ code, signal, waitMs: Math.round(waitMs) }, PROCESS_ENDED);
      this.#state = {
        ...this.#state,
        phase: "retrying",
        detail: "Its process ended and is started again.",
      };
      this.#retry = setTimeout(() => this.#spawn(), waitMs);
    });
    this.#tell(begin(record.nextEpoch(clock.nowMs())));
  }

  #heard(message: FromReplicator): void {
    const { record, onEvent } = this.#deps;
    switch (message.kind) {
      case "state":
        if (this.#isRunning) this.#state = message.state;
        return;
      case "failed":
        this.#failed(message.detail);
        return;
      case "register":
        record.register(message.objects);
        return;
      case "creating":
        record.forgetSource(message.side);
        // With a new slot on OLD everything begins anew; the one on NEW follows when the tables are copied.
        if (message.side === "old") record.forgetSource("new");
        return;
      case "verification":
        this.#verified(message.state);
        return;
      case "answer":
        this.#holds.heard(message);
        return;
      case "event":
        onEvent(message.detail);
    }
  }

  /** Kept at its end, without the rows that differ: their keys are values. */
  #verified(state: VerifyState): void {
    this.#verification = state;
    if (state.phase === "running") return;
    this.#deps.verified.keep(JSON.stringify({ ...state, differences: [] }));
  }

  #failed(detail: string): void {
    const { record, log, onEvent } = this.#deps;
    this.#isRunning = false;
    record.setIncident(detail);
    this.#state = { ...this.#state, phase: "failed", detail };
    log.error({}, "replication stopped by itself; its status says why");
    onEvent({ replication: "failed", detail });
  }

  #tell(message: ToReplicator): void {
    const child = this.#child;
    if (child?.connected !== true) return;
    // The channel may close at this moment; the process is gone then, and its end is dealt with.
    child.send(message, () => {});
  }
}

const PROCESS_ENDED = "the replication process ended and will be started again";
