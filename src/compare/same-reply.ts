import { Buffer } from "node:buffer";
import { Backend } from "../wire/postgres/message-types.ts";
import { decodeRowDescription, replyFrameEnd } from "../wire/postgres/reply-frames.ts";
import type { ReplyField } from "../wire/postgres/reply-frames.ts";
import { sameType } from "./columns.ts";
import type { CompareContext, TypeNames } from "./context.ts";

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
  has(primary: Uint8Array, shadow: Uint8Array, context: CompareContext): boolean;
  add(primary: Uint8Array, shadow: Uint8Array, context: CompareContext): void;
};

/** A cache of fixed size: a slot is overwritten by the next pair that falls into it. */
export function openKnownDescriptions(): KnownDescriptions {
  const slots: (KnownPair | undefined)[] = Array.from({ length: SLOTS });
  return {
    has: (primary, shadow, context) => {
      const pair = slots[slotOf(primary)];
      return (
        pair !== undefined &&
        pair.primaryTypes === context.primaryTypes &&
        pair.shadowTypes === context.shadowTypes &&
        sameBody(primary, pair.primary) &&
        sameBody(shadow, pair.shadow)
      );
    },
    add: (primary, shadow, { primaryTypes, shadowTypes }) => {
      // Copies: the frames belong to an exchange and should go with it.
      slots[slotOf(primary)] = {
        primary: Uint8Array.from(primary),
        shadow: Uint8Array.from(shadow),
        primaryTypes,
        shadowTypes,
      };
    },
  };
}

type KnownPair = {
  readonly primary: Uint8Array;
  readonly shadow: Uint8Array;
  readonly primaryTypes: TypeNames;
  readonly shadowTypes: TypeNames;
};

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
  if (known?.has(primary, shadow, context) === true) return true;
  const similarity = compareDescriptions(primary, shadow, context);
  // A name that is missing today may be known tomorrow.
  if (similarity === "same") known?.add(primary, shadow, context);
  return similarity !== "other";
}

function compareDescriptions(
  primary: Uint8Array,
  shadow: Uint8Array,
  { primaryTypes, shadowTypes }: CompareContext,
): "same" | "other" | "unsure" {
  const fieldsA = readFields(primary);
  const fieldsB = readFields(shadow);
  if (fieldsA === undefined || fieldsA.length !== fieldsB?.length) return "other";
  let similarity: "same" | "unsure" = "same";
  for (const [index, a] of fieldsA.entries()) {
    const b = fieldsB[index];
    if (b === undefined || a.name !== b.name) return "other";
    if (a.typeModifier !== b.typeModifier || a.format !== b.format) return "other";
    const types = sameType(a.typeOid, b.typeOid, primaryTypes, shadowTypes);
    if (types === "other") return "other";
    if (types === "unsure") similarity = "unsure";
  }
  return similarity;
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
