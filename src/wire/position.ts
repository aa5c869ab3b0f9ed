/**
 * How far a database has come, or how far what it wrote has been applied elsewhere. Positions of
 * different kinds, or of different servers, say nothing about each other.
 */
export type Position =
  | { readonly kind: "lsn"; readonly lsn: Lsn }
  /** A MySQL set such as `3e11fa47-…:1-5`. */
  | { readonly kind: "gtid_set"; readonly set: string }
  /** A MariaDB position such as `0-1-70`. */
  | { readonly kind: "mariadb_gtid"; readonly gtid: string };

declare const brand: unique symbol;

/** Write-ahead log position in bytes; the 64-bit number that `pg_lsn` prints as `16/B374D848`. */
export type Lsn = bigint & { readonly [brand]: "Lsn" };

const LSN_TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** @returns undefined for what is not a `pg_lsn`. */
export function parseLsn(text: string): Lsn | undefined {
  const [, high, low] = LSN_TEXT.exec(text) ?? [];
  if (high === undefined || low === undefined) return undefined;
  return ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) as Lsn;
}

/** As the database itself prints it. */
export function formatPosition(position: Position): string {
  switch (position.kind) {
    case "lsn": {
      const high = (position.lsn >> 32n).toString(16).toUpperCase();
      const low = (position.lsn & 0xffffffffn).toString(16).toUpperCase();
      return `${high}/${low}`;
    }
    case "gtid_set":
      return position.set;
    case "mariadb_gtid":
      return position.gtid;
  }
}
