/** Time as a parameter. `nowMs` is wall time since 1970, `monotonicMs` only ever grows. */
export type Clock = {
  nowMs(): number;
  monotonicMs(): number;
};

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
