import type { Clock } from "../../base/clock.ts";
import type { Finding } from "../../compare/verdict.ts";
import type { RecordedExchange } from "../../divergence/recorded-exchange.ts";
import type { Credentials } from "../../upstream/dial.ts";
import type { Settled } from "./settled.ts";

/** A difference that was seen once, and whoever wants to know what became of it. */
export type Doubt = {
  readonly exchange: RecordedExchange;
  readonly finding: Finding;
  /** What is rate-limited together. */
  readonly fingerprint: string;
  readonly varies: boolean;
  readonly credentials: Credentials;
  readonly settle: (settled: Settled) => void;
};

export type DoubtsDeps = {
  readonly clock: Clock;
  /** Never rejects: what goes wrong is an outcome. */
  readonly recheck: (doubt: Doubt) => Promise<Settled>;
  readonly limits: () => DoubtLimits;
};

export type DoubtLimits = {
  /** How many rechecks run at the same time. */
  readonly concurrent: number;
  /** Rechecks of one fingerprint in a minute; a tenth of them, at least one, may come at once. */
  readonly perMinute: number;
};

/** Why a difference is not asked about again. */
export type DoubtRefusal =
  | "asked often enough lately"
  | "too many differences wait to be asked again";

const MAX_WAITING = 256;
const MAX_WAITING_BYTES = 8 << 20;
const MAX_FINGERPRINTS = 5_000;
const MINUTE_MS = 60_000;

type Allowance = { left: number; atMs: number };

/** Differences that wait to be asked about again: bounded, and limited for each fingerprint. */
export class Doubts {
  readonly #deps: DoubtsDeps;
  readonly #waiting: Doubt[] = [];
  readonly #allowances = new Map<string, Allowance>();
  #bytes = 0;
  readonly #running = new Set<Doubt>();
  #closed = false;

  constructor(deps: DoubtsDeps) {
    this.#deps = deps;
  }

  /** How many are waiting or being asked about. */
  get size(): number {
    return this.#waiting.length + this.#running.size;
  }

  /** @returns why it is not taken; `settle` is not called then. */
  raise(doubt: Doubt): DoubtRefusal | undefined {
    const bytes = doubt.exchange.frames.length;
    const full = this.#waiting.length >= MAX_WAITING || this.#bytes + bytes > MAX_WAITING_BYTES;
    if (full || this.#closed) return "too many differences wait to be asked again";
    if (!this.#allow(doubt.fingerprint)) return "asked often enough lately";
    this.#bytes += bytes;
    this.#waiting.push(doubt);
    this.#begin();
    return undefined;
  }

  /** What waits or is being asked about stays unsettled. */
  close(): void {
    this.#closed = true;
    const left = [...this.#running, ...this.#waiting.splice(0)];
    this.#running.clear();
    for (const doubt of left) {
      doubt.settle({ ...NOT_ASKED, detail: "Twinwire ended before it was settled." });
    }
  }

  #begin(): void {
    while (this.#running.size < this.#deps.limits().concurrent) {
      const doubt = this.#waiting.shift();
      if (doubt === undefined) return;
      this.#bytes -= doubt.exchange.frames.length;
      this.#running.add(doubt);
      void this.#ask(doubt);
    }
  }

  async #ask(doubt: Doubt): Promise<void> {
    const settled = await this.#deps.recheck(doubt);
    // Twinwire may have ended meanwhile.
    if (!this.#running.delete(doubt)) return;
    doubt.settle(settled);
    this.#begin();
  }

  /** A bucket that fills steadily and holds a tenth of a minute's worth. */
  #allow(fingerprint: string): boolean {
    const { perMinute } = this.#deps.limits();
    const most = Math.max(1, perMinute / 10);
    const atMs = this.#deps.clock.monotonicMs();
    const before = this.#allowances.get(fingerprint) ?? { left: most, atMs };
    const grown = ((atMs - before.atMs) / MINUTE_MS) * perMinute;
    const left = Math.min(most, before.left + grown);
    if (!this.#allowances.has(fingerprint) && this.#allowances.size >= MAX_FINGERPRINTS) {
      // Whoever has not been in doubt for longest has a full allowance again.
      for (const oldest of this.#allowances.keys()) {
        this.#allowances.delete(oldest);
        break;
      }
    }
    const allowed = left >= 1;
    this.#allowances.delete(fingerprint);
    this.#allowances.set(fingerprint, { left: allowed ? left - 1 : left, atMs });
    return allowed;
  }
}

const NOT_ASKED = {
  outcome: "unsettled",
  attempts: 0,
  tookMs: 0,
  askedTwice: false,
  varied: [],
} as const;
