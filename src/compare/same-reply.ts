import { Buffer } from "node:buffer";
import { Backend } from "../wire/postgres/message-types.ts";
import { decodeRowDescription, replyFrameEnd } from "../wire/postgres/reply-frames.ts";
import type { ReplyField } from "../wire/postgres/reply-frames.ts";
import { FIRST_ASSIGNED_OID } from "./builtin-types.ts";
import { sameType } from "./columns.ts";
import type { CompareContext } from "./context.ts";

/**
 * The commonest case at the cost of a memory comparison: the same bytes, but for the table oids in
 * RowDescriptions. `false` only means that a closer look is needed.
 */
export function isSameReply(
  primary: Uint8Array,
  shadow: Uint8Array,
  context: CompareContext,
  known: KnownDescriptions | undefined,
): boolean {
  let a = 0;
  let b = 0;
  for (;;) {
    const endA = nextDescription(primary, a);
    const endB = nextDescription(shadow, b);
    if (endA < 0 || endA - a !== endB - b) return false;
    if (!sameBytes(primary, a, shadow, b, endA - a)) return false;
    const isEnd = endA === primary.length;
    if (isEnd || endB === shadow.length) return isEnd && endB === shadow.length;
    a = replyFrameEnd(primary, endA);
    b = replyFrameEnd(shadow, endB);
    if (a < 0 || b < 0) return false;
    const bodyA = primary.subarray(endA + 5, a);
    const bodyB = shadow.subarray(endB + 5, b);
    if (!isSameDescription(bodyA, bodyB, context, known)) return false;
  }
}

/** Pairs of RowDescription bodies found to say the same, so that each is decoded once. */
export type KnownDescriptions = {
  find(primary: Uint8Array, shadow: Uint8Array): KnownPair | undefined;
  add(pair: KnownPair): void;
};

/** Two bodies that say the same if the types with these oids have the same names. */
export type KnownPair = {
  readonly primary: Uint8Array;
  readonly shadow: Uint8Array;
  /** Types of users. Their names are looked up every time, for types come and go. */
  readonly userTypes: readonly (readonly [primary: number, shadow: number])[];
};

/** A cache of fixed size: a slot is overwritten by the next pair that falls into it. */
export function openKnownDescriptions(): KnownDescriptions {
  const slots: (KnownPair | undefined)[] = Array.from({ length: SLOTS });
  return {
    find: (primary, shadow) => {
      const pair = slots[slotOf(primary)];
      return pair !== undefined && sameBody(primary, pair.primary) && sameBody(shadow, pair.shadow)
        ? pair
        : undefined;
    },
    add: ({ primary, shadow, userTypes }) => {
      // Copies: the frames belong to an exchange and should go with it.
      const copies = { primary: Uint8Array.from(primary), shadow: Uint8Array.from(shadow) };
      slots[slotOf(primary)] = { ...copies, userTypes };
    },
  };
}

const SLOTS = 256;

/** Offset of the next RowDescription, or of the end; -1 when a frame is cut short. */
function nextDescription(frames: Uint8Array, start: number): number {
  let at = start;
  while (at < frames.length) {
    if (frames[at] === Backend.RowDescription) return at;
    at = replyFrameEnd(frames, at);
    if (at < 0) return -1;
  }
  return at;
}

function isSameDescription(
  primary: Uint8Array,
  shadow: Uint8Array,
  context: CompareContext,
  known: KnownDescriptions | undefined,
): boolean {
  if (primary.length !== shadow.length) return false;
  let pair = known?.find(primary, shadow);
  if (pair === undefined) {
    const userTypes = userTypesOf(primary, shadow);
    if (userTypes === undefined) return false;
    pair = { primary, shadow, userTypes };
    known?.add(pair);
  }
  const { primaryTypes, shadowTypes } = context;
  return pair.userTypes.every(([a, b]) => sameType(a, b, primaryTypes, shadowTypes) !== "other");
}

/** Undefined when the descriptions differ in more than tables and users' types. */
function userTypesOf(
  primary: Uint8Array,
  shadow: Uint8Array,
): (readonly [number, number])[] | undefined {
  const fieldsA = readFields(primary);
  const fieldsB = readFields(shadow);
  if (fieldsA === undefined || fieldsA.length !== fieldsB?.length) return undefined;
  const userTypes: (readonly [number, number])[] = [];
  for (const [index, a] of fieldsA.entries()) {
    const b = fieldsB[index];
    if (b === undefined || a.name !== b.name) return undefined;
    if (a.typeModifier !== b.typeModifier || a.format !== b.format) return undefined;
    if (a.typeOid === b.typeOid && a.typeOid < FIRST_ASSIGNED_OID) continue;
    userTypes.push([a.typeOid, b.typeOid]);
  }
  return userTypes;
}

/** Undefined when malformed: the closer look that follows says on which side. */
function readFields(body: Uint8Array): ReplyField[] | undefined {
  try {
    return decodeRowDescription(body);
  } catch {
    return undefined;
  }
}

/** Eight bytes spread over the body: columns' names and types are all over it. */
function slotOf(body: Uint8Array): number {
  const { length } = body;
  let hash = length;
  for (let part = 1; part <= 8; part++) {
    hash = Math.imul(hash, 31) + (body[((length - 1) * part) >> 3] as number);
  }
  return (hash ^ (hash >>> 8)) & (SLOTS - 1);
}

/** Below this many bytes a loop is faster than the call into native code. */
const LOOP_BYTES = 96;

function sameBytes(
  a: Uint8Array,
  startA: number,
  b: Uint8Array,
  startB: number,
  length: number,
): boolean {
  if (length <= LOOP_BYTES) {
    for (let index = 0; index < length; index++) {
      if (a[startA + index] !== b[startB + index]) return false;
    }
    return true;
  }
  const compare = Buffer.prototype.compare;
  return compare.call(a, b, startB, startB + length, startA, startA + length) === 0;
}

function sameBody(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && sameBytes(a, 0, b, 0, a.length);
}
