/** Plain numbers, read when metrics are asked for. */
export type TrafficCounters = {
  bytesFromClients: number;
  bytesToClients: number;
  answered(elapsedMs: number): void;
};
