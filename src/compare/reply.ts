import type { Buffer } from "node:buffer";
import { Backend } from "../wire/postgres/message-types.ts";
import {
  decodeCommandTag,
  decodeDataRow,
  decodeErrorResponse,
  decodeParameterDescription,
  decodeRowDescription,
  readReplyFrames,
} from "../wire/postgres/reply-frames.ts";
import type { ReplyError, ReplyField, ReplyFrame } from "../wire/postgres/reply-frames.ts";
import type { ResultDigest } from "./result-digest.ts";

/** An answer taken apart: one result for each statement, and how the transaction stands after it. */
export type Reply = {
  readonly results: readonly Result[];
  /** `I`, `T` or `E` as a byte; undefined when it is not known. */
  readonly transactionStatus: number | undefined;
};

/** What one statement answered. */
export type Result = {
  /** `described`: a Describe without an Execute. */
  readonly ending: "complete" | "error" | "empty" | "suspended" | "described";
  readonly fields: readonly ReplyField[] | undefined;
  /** Describing a statement, unlike a portal, does not tell the formats that a Bind will ask for. */
  readonly formatsKnown: boolean;
  readonly parameters: readonly number[] | undefined;
  /** Bodies of DataRow, or with `opaque` of messages without columns (COPY, function calls). */
  readonly rows: readonly Uint8Array[];
  readonly opaque: boolean;
  readonly tag: string | undefined;
  readonly error: ReplyError | undefined;
  /** Of an answer too large to keep: `rows` are only the first. */
  readonly digest: ResultDigest | undefined;
};

type Draft = { -readonly [Key in keyof Result]: Result[Key] } & { rows: Uint8Array[] };

/**
 * Takes apart a whole answer. Rows are checked but not decoded.
 * @throws CodedError protocol_violation
 */
export function decodeReply(frames: Uint8Array): Reply {
  const results: Result[] = [];
  let draft = newDraft();
  let transactionStatus: number | undefined;
  for (const frame of readReplyFrames(frames)) {
    if (frame.type === Backend.ReadyForQuery) transactionStatus = frame.body[0];
    const ending = takeFrame(draft, frame);
    if (ending === undefined) continue;
    results.push({ ...draft, ending });
    draft = newDraft();
  }
  if (draft.fields !== undefined || draft.parameters !== undefined || draft.rows.length > 0) {
    results.push(draft);
  }
  return { results, transactionStatus };
}

/**
 * The same for digests.
 * @throws CodedError protocol_violation
 */
export function replyOfDigests(digests: readonly ResultDigest[]): Reply {
  const results = digests.map((digest): Result => {
    const opaque = digest.description === undefined && /^COPY\b/.test(digest.tag ?? "COPY");
    if (!opaque) for (const row of digest.firstRows) decodeDataRow(row);
    return {
      ...newDraft(),
      ending: digest.sqlstate === undefined ? "complete" : "error",
      fields: digest.description && decodeRowDescription(digest.description),
      rows: digest.firstRows,
      opaque,
      tag: digest.tag,
      error: digest.sqlstate === undefined ? undefined : { sqlstate: digest.sqlstate, message: "" },
      digest,
    };
  });
  return { results, transactionStatus: undefined };
}

function newDraft(): Draft {
  return {
    ending: "described",
    fields: undefined,
    formatsKnown: true,
    parameters: undefined,
    rows: [],
    opaque: false,
    tag: undefined,
    error: undefined,
    digest: undefined,
  };
}

/** @returns how the result ended, if this frame ended it. */
function takeFrame(draft: Draft, { type, body }: ReplyFrame): Result["ending"] | undefined {
  switch (type) {
    case Backend.DataRow:
      decodeDataRow(body);
      draft.rows.push(body);
      return undefined;
    case Backend.CopyData:
      takeOpaque(draft, body);
      return undefined;
    case Backend.RowDescription:
      draft.fields = decodeRowDescription(body);
      draft.formatsKnown = draft.parameters === undefined;
      return undefined;
    case Backend.ParameterDescription:
      draft.parameters = decodeParameterDescription(body);
      return undefined;
    case Backend.CommandComplete:
      draft.tag = decodeCommandTag(body);
      return "complete";
    case Backend.FunctionCallResponse:
      takeOpaque(draft, body);
      return "complete";
    case Backend.ErrorResponse:
      draft.error = decodeErrorResponse(body);
      return "error";
    case Backend.EmptyQueryResponse:
      return "empty";
    case Backend.PortalSuspended:
      return "suspended";
    default:
      return undefined;
  }
}

function takeOpaque(draft: Draft, body: Buffer): void {
  draft.rows.push(body);
  draft.opaque = true;
}
