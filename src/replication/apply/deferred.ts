/** A promise and the means to settle it. Node 20 has no `Promise.withResolvers`. */
export type Deferred<T> = {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (why: unknown) => void;
};

export function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>["resolve"] = () => {};
  let reject: Deferred<T>["reject"] = () => {};
  // oxlint-disable-next-line promise/param-names
  const promise = new Promise<T>((settle, refuse) => {
    resolve = settle;
    reject = refuse;
  });
  return { promise, resolve, reject };
}

/** A wait that can be given up, so that no timer is left behind. */
export function timeLimit(ms: number): { readonly passed: Promise<void>; clear(): void } {
  const { promise, resolve } = deferred<void>();
  const timer = setTimeout(resolve, ms);
  return { passed: promise, clear: () => clearTimeout(timer) };
}
