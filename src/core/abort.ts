/** Calls `act` when the signal aborts, at once when it already has, and never after `until` has aborted. */
export function whenAborted(signal: AbortSignal, until: AbortSignal | undefined, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener('abort', () => act(), { once: true, ...(until && { signal: until }) });
}

/** A promise that rejects with the signal's reason if the signal aborts first. */
export async function abortable<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return await work;
  // What `work` still comes to is nobody's concern once the signal has aborted.
  work.catch(() => {});
  signal.throwIfAborted();
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Rejects when the signal aborts. */
export function rejected(signal: AbortSignal, error: () => Error): Promise<never> {
  const promise = new Promise<never>((_resolve, reject) => whenAborted(signal, undefined, () => reject(error())));
  promise.catch(() => {});
  return promise;
}
