/** Waits `ms`, or rejects as soon as the signal aborts. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

type Settled<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "late" }
  | { readonly kind: "aborted" };

type Limit = { readonly ms: number; readonly sleep: Sleep; readonly signal: AbortSignal };

/**
 * What became of `work` before the limit or the abort, whichever comes first. Work that goes on
 * afterwards is not waited for; its result, a failure too, is dropped.
 */
export async function settleWithin<T>(work: Promise<T>, limit: Limit): Promise<Settled<T>> {
  const timer = new AbortController();
  const onAbort = (): void => timer.abort();
  limit.signal.addEventListener("abort", onAbort, { once: true });
  if (limit.signal.aborted) onAbort();
  const done = work.then(
    (value): Settled<T> => ({ kind: "done", value }),
    (error: unknown): Settled<T> => ({ kind: "failed", error }),
  );
  const late = limit.sleep(limit.ms, timer.signal).then(
    (): Settled<T> => ({ kind: "late" }),
    // Rejected by the abort only: the timer of work that is done is stopped below.
    (): Settled<T> => ({ kind: "aborted" }),
  );
  try {
    return await Promise.race([done, late]);
  } finally {
    limit.signal.removeEventListener("abort", onAbort);
    timer.abort();
  }
}
