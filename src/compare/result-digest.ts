/** One result of an exchange whose answer was too large to keep. Built frame by frame in constant memory. */
export type ResultDigest = {
  /** Body of the RowDescription, if one was sent. */
  readonly description: Uint8Array | undefined;
  readonly rowCount: number;
  /** Hash of the rows in the order they came. */
  readonly ordered: bigint;
  /** Sum of the rows' hashes: equal for the same multiset of rows in any order. */
  readonly unordered: bigint;
  /** The first rows, as DataRow or CopyData bodies. */
  readonly firstRows: readonly Uint8Array[];
  /** Command tag, if it completed. */
  readonly tag: string | undefined;
  readonly sqlstate: string | undefined;
};
