import type { Buffer } from "node:buffer";
import { scalarFamily } from "./value.ts";
import type { Family, Raw } from "./value.ts";

/** inet and cidr: `10.0.0.1/8`, `::1`; binary is family, bits, is-cidr, length, address. */
export const NETWORK: Family = scalarFamily({
  group: "network",
  read: (raw) => (typeof raw === "string" ? fromText(raw) : fromBinary(raw)),
  differs: "value",
  format: "value_format",
  render: (raw) => fromBinary(raw),
});

/** macaddr and macaddr8. */
export const MAC: Family = scalarFamily({
  group: "mac",
  read: (raw) =>
    typeof raw === "string" ? raw.toLowerCase().replace(/[^\da-f]/g, "") : raw.toString("hex"),
  differs: "value",
  format: "value_format",
  render: (raw) => raw.toString("hex").replace(/(..)(?=.)/g, "$1:"),
});

/** bit and varbit: `0101`; binary is int32 bits, then bytes. */
export const BITS: Family = scalarFamily({
  group: "bits",
  read: bitText,
  differs: "value",
  format: "value_format",
  render: bitText,
});

function bitText(raw: Raw): string | undefined {
  if (typeof raw === "string") return raw;
  if (raw.length < 4) return undefined;
  const bits = [...raw.subarray(4)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const length = raw.readInt32BE(0);
  return length >= 0 && length <= bits.length ? bits.slice(0, length) : undefined;
}

/** Groups of the address in hexadecimal, then the bits of the netmask. */
function fromText(text: string): string | undefined {
  const [address, mask] = text.split("/");
  if (address === undefined || address === "") return undefined;
  if (!address.includes(":")) {
    const parts = address.split(".").map(Number);
    if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) return undefined;
    return `${parts.join(".")}/${mask ?? 32}`;
  }
  const groups = groupsOf(address);
  return groups && `${groups.join(":")}/${mask ?? 128}`;
}

function groupsOf(address: string): string[] | undefined {
  const quad = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const plain =
    quad === null
      ? address
      : `${quad[1]}${(Number(quad[2]) * 256 + Number(quad[3])).toString(16)}:${(
          Number(quad[4]) * 256 +
          Number(quad[5])
        ).toString(16)}`;
  const [left = "", right] = plain.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const missing = 8 - head.length - tail.length;
  if (missing < 0 || (right === undefined && missing > 0)) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => "0"), ...tail];
  return groups.map((group) => group.toLowerCase().replace(/^0+(?=.)/, ""));
}

function fromBinary(raw: Buffer): string | undefined {
  const bits = raw[1];
  const length = raw[3];
  if (bits === undefined || length === undefined || raw.length !== 4 + length) return undefined;
  const address = raw.subarray(4);
  if (length === 4) return `${[...address].join(".")}/${bits}`;
  const groups = Array.from({ length: length / 2 }, (_, index) =>
    address.readUInt16BE(index * 2).toString(16),
  );
  return `${groups.join(":")}/${bits}`;
}
