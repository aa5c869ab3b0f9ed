import { Buffer } from "node:buffer";

/** What was remembered for one key, and what looking it up needs. */
type Entry<Value> = {
  readonly key: Uint8Array;
  readonly value: Value;
  readonly bytes: number;
  /** Another key with the same hash. */
  readonly next: Entry<Value> | undefined;
};

/**
 * Values by bytes, found by hash and compared byte by byte, so that a collision answers nothing
 * wrong. Bounded by two generations: when the younger is full it becomes the older, and what is
 * not asked for again before the next change is forgotten.
 */
export type ShapeCache<Value> = {
  get(bytes: Uint8Array, length: number, hash: number): Value | undefined;
  /** @param bytes what the value occupies besides its key, roughly */
  set(key: Uint8Array, hash: number, value: Value, bytes: number): void;
};

/** @param limits of one generation: twice as much may be held */
export function newShapeCache<Value>(limits: {
  readonly entries: number;
  readonly bytes: number;
}): ShapeCache<Value> {
  let young = new Map<number, Entry<Value>>();
  let old = new Map<number, Entry<Value>>();
  let entries = 0;
  let bytes = 0;

  function add(key: Uint8Array, hash: number, value: Value, size: number): void {
    if (entries >= limits.entries || (bytes + size > limits.bytes && entries > 0)) {
      old = young;
      young = new Map();
      entries = 0;
      bytes = 0;
    }
    young.set(hash, { key, value, bytes: size, next: young.get(hash) });
    entries++;
    bytes += size;
  }

  return {
    get(key, length, hash) {
      const found = find(young.get(hash), key, length);
      if (found !== undefined) return found.value;
      const aged = find(old.get(hash), key, length);
      if (aged === undefined) return undefined;
      add(aged.key, hash, aged.value, aged.bytes);
      return aged.value;
    },
    set(key, hash, value, size) {
      add(key, hash, value, key.length + size);
    },
  };
}

function find<Value>(
  first: Entry<Value> | undefined,
  bytes: Uint8Array,
  length: number,
): Entry<Value> | undefined {
  for (let entry = first; entry !== undefined; entry = entry.next) {
    if (entry.key.length === length && equal(entry.key, bytes, length)) return entry;
  }
  return undefined;
}

function equal(key: Uint8Array, bytes: Uint8Array, length: number): boolean {
  // Below this length a loop is quicker than the call into the runtime.
  if (length > 128) return Buffer.compare(key, bytes.subarray(0, length)) === 0;
  for (let at = 0; at < length; at++) if (key[at] !== bytes[at]) return false;
  return true;
}
