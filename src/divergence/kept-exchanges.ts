import type { RecordedExchange } from "./recorded-exchange.ts";

/** The last requests of each divergence, in memory, bounded. They hold customers' values. */
export type KeptExchanges = {
  /** @param kept undefined where it cannot be repeated at all */
  keep(id: string, kept: RecordedExchange | undefined): void;
  restore(id: string, kept: RecordedExchange): void;
  lastOf(id: string): RecordedExchange | undefined;
  /** Whether one is there, and why or why not. */
  repeatable(id: string): { readonly ok: boolean; readonly reason: string };
  /** Those that are not stored yet. */
  unstored(): readonly (readonly [id: string, kept: RecordedExchange])[];
  stored(id: string, kept: RecordedExchange): void;
  readonly bytes: number;
};

export type KeptLimits = { readonly totalBytes: number; readonly exchangeBytes: number };

const EACH = 2;

/** Why there is none; in all other cases one was never seen by this process. */
type Absence = "too_large" | "gave_way" | "unrepeatable";

export function openKeptExchanges(limits: KeptLimits, stores: boolean): KeptExchanges {
  // The order of the map is that of the last occurrence: the first gives way first.
  const kept = new Map<string, readonly RecordedExchange[]>();
  const absent = new Map<string, Absence>();
  const unstored = new Map<string, RecordedExchange>();
  let bytes = 0;
  const remove = (id: string): void => {
    for (const exchange of kept.get(id) ?? []) bytes -= sizeOf(exchange);
    kept.delete(id);
  };
  const put = (id: string, exchange: RecordedExchange): void => {
    const list = [...(kept.get(id) ?? []), exchange].slice(-EACH);
    remove(id);
    kept.set(id, list);
    absent.delete(id);
    for (const one of list) bytes += sizeOf(one);
    for (const oldest of kept.keys()) {
      if (bytes <= limits.totalBytes || oldest === id) break;
      remove(oldest);
      unstored.delete(oldest);
      absent.set(oldest, "gave_way");
    }
  };
  return {
    keep(id, exchange) {
      if (exchange === undefined) {
        if (!kept.has(id)) absent.set(id, "unrepeatable");
        return;
      }
      if (sizeOf(exchange) > limits.exchangeBytes) {
        if (!kept.has(id)) absent.set(id, "too_large");
        return;
      }
      const own = compact(exchange);
      put(id, own);
      if (stores) unstored.set(id, own);
    },
    restore: put,
    lastOf: (id) => kept.get(id)?.at(-1),
    repeatable(id) {
      if (kept.has(id)) {
        return {
          ok: true,
          reason: `its last request is kept ${stores ? "in the store" : "in memory"}`,
        };
      }
      return { ok: false, reason: absence(absent.get(id), stores, limits) };
    },
    unstored: () => [...unstored],
    stored(id, exchange) {
      if (unstored.get(id) === exchange) unstored.delete(id);
    },
    get bytes() {
      return bytes;
    },
  };
}

function absence(why: Absence | undefined, stores: boolean, limits: KeptLimits): string {
  const mib = (size: number): string => `${Math.round(size / 1024 ** 2)} MiB`;
  switch (why) {
    case "too_large":
      return `its request is larger than ${mib(limits.exchangeBytes)} and was not kept`;
    case "gave_way":
      return `its request gave way to newer ones: together they may take ${mib(limits.totalBytes)}`;
    case "unrepeatable":
      return "it cannot be repeated by itself: what it depends on was not, or may not be, recorded";
    case undefined:
      return stores
        ? "its request was never stored"
        : "its parameters were kept in memory only, and Twinwire was started anew since; compare.samples.store_requests keeps them on the disk";
  }
}

/** Each object costs something besides what it holds. */
const OVERHEAD_BYTES = 512;

function sizeOf(exchange: RecordedExchange): number {
  const { frames, prepared, settings, parameters } = exchange;
  let size = OVERHEAD_BYTES + frames.length;
  for (const frame of prepared) size += frame.length;
  for (const text of settings) size += 2 * text.length;
  for (const [name, value] of parameters) size += 2 * (name.length + value.length);
  return size;
}

/** A small part of a large buffer would keep all of it. */
function compact(exchange: RecordedExchange): RecordedExchange {
  const { frames } = exchange;
  if (frames.buffer.byteLength <= frames.length + MAX_WASTE_BYTES) return exchange;
  return { ...exchange, frames: Uint8Array.prototype.slice.call(frames) };
}

const MAX_WASTE_BYTES = 64 * 1024;
