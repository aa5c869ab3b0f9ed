/** `pg_current_snapshot()`: numbers of transactions in their lower 32 bits, which is how the log gives them. */
export type Visibility = {
  readonly xmin: number;
  readonly xmax: number;
  readonly running: ReadonlySet<number>;
};

/** @returns undefined for what is not a snapshot such as `745:750:746,748` */
export function parseVisibility(text: string): Visibility | undefined {
  const [, xmin, xmax, running] = /^(\d+):(\d+):([\d,]*)$/.exec(text) ?? [];
  if (xmin === undefined || xmax === undefined) return undefined;
  const numbers = (running ?? "").split(",").filter(Boolean);
  return { xmin: low(xmin), xmax: low(xmax), running: new Set(numbers.map(low)) };
}

/** Whether the snapshot sees a transaction that has committed. */
export function sees({ xmin, xmax, running }: Visibility, xid: number): boolean {
  if (precedes(xid, xmin)) return true;
  return precedes(xid, xmax) && !running.has(xid);
}

/** The numbers go round: of two the earlier one is less than half of them behind. */
function precedes(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

function low(text: string): number {
  return Number(BigInt.asUintN(32, BigInt(text)));
}
