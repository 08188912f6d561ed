import process from 'node:process';

/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP, so that files can be finished. A second one ends the process at once:
 * whoever presses Ctrl-C twice means it.
 */
export function untilInterrupted(): Promise<'SIGINT' | 'SIGTERM' | 'SIGHUP'> {
  return new Promise((resolve) => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      // The terminal was closed.
      ['SIGHUP', 129],
    ] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(code));
        resolve(signal);
      });
    }
  });
}
