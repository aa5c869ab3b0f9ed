import type { Buffer } from "node:buffer";
import { latin1, readable, scalarFamily } from "./value.ts";
import type { Family, Raw } from "./value.ts";

/** pg_lsn: `16/B374D848`, or 8 bytes. */
export const LSN: Family = scalarFamily({
  group: "lsn",
  read: readLsn,
  differs: "value",
  format: "value_format",
  render: readLsn,
});

/** tid: `(0,1)`; binary is uint32 block, uint16 offset. */
export const TID: Family = scalarFamily({
  group: "tid",
  read: readTid,
  differs: "value",
  format: "value_format",
  render: readTid,
});

/** pg_snapshot: `10:20:10,14`; binary is int32 count, int64 xmin, xmax and so many xids. */
export const SNAPSHOT: Family = scalarFamily({
  group: "snapshot",
  read: readSnapshot,
  differs: "value",
  format: "value_format",
  render: readSnapshot,
});

/** regclass and its kin: a name in text; in binary an oid, which is another one on every server. */
export const OBJECT_NAME: Family = scalarFamily({
  group: "object name",
  read: latin1,
  differs: "value",
  format: "value_format",
  render: (raw) => (raw.length === 4 ? `oid ${raw.readUInt32BE(0)}` : undefined),
  hint: ({ raw: a }, { raw: b }) => {
    if (typeof a !== "string" || typeof b !== "string") return undefined;
    const isQualified = a.endsWith(`.${b}`) || b.endsWith(`.${a}`);
    return isQualified
      ? "one is the other with a schema in front, as another search_path makes it"
      : undefined;
  },
});

/** jsonpath, ltree and its queries: text, which in binary has a version byte before it. */
export const VERSIONED_TEXT: Family = scalarFamily({
  group: "versioned text",
  read: (raw) =>
    typeof raw === "string" ? raw : raw[0] === 1 ? latin1(raw.subarray(1)) : undefined,
  differs: "value",
  format: "value_format",
  render: (raw) => (raw[0] === 1 ? readable(latin1(raw.subarray(1))) : undefined),
});

/** "char": one byte. Beyond ASCII it is written `\303` since PostgreSQL 16, and before as it is. */
export const SINGLE_BYTE: Family = scalarFamily({
  group: "single byte",
  read: (raw) => {
    const text = latin1(raw);
    const octal = /^\\([0-3][0-7]{2})$/.exec(text);
    if (octal !== null) return String(Number.parseInt(octal[1] ?? "", 8));
    return text.length <= 1 ? String(text === "" ? 0 : text.charCodeAt(0)) : undefined;
  },
  differs: "value",
  format: "value_format",
  render: (raw) => latin1(raw),
});

function readLsn(raw: Raw): string | undefined {
  if (typeof raw === "string") return /^[\dA-F]{1,8}\/[\dA-F]{1,8}$/i.test(raw) ? raw : undefined;
  if (raw.length !== 8) return undefined;
  const halves = [raw.readUInt32BE(0), raw.readUInt32BE(4)];
  return halves.map((half) => half.toString(16).toUpperCase()).join("/");
}

function readTid(raw: Raw): string | undefined {
  if (typeof raw === "string") return /^\(\d+,\d+\)$/.test(raw) ? raw : undefined;
  return raw.length === 6 ? `(${raw.readUInt32BE(0)},${raw.readUInt16BE(4)})` : undefined;
}

function readSnapshot(raw: Raw): string | undefined {
  if (typeof raw === "string") return /^\d+:\d+:(?:\d+(?:,\d+)*)?$/.test(raw) ? raw : undefined;
  return snapshotOf(raw);
}

function snapshotOf(raw: Buffer): string | undefined {
  if (raw.length < 20 || raw.length !== 20 + raw.readInt32BE(0) * 8) return undefined;
  const running: bigint[] = [];
  for (let at = 20; at < raw.length; at += 8) running.push(raw.readBigUInt64BE(at));
  return `${raw.readBigUInt64BE(4)}:${raw.readBigUInt64BE(12)}:${running.join(",")}`;
}
