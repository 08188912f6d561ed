import process from 'node:process';

/**
 * Resolves at the first SIGINT or SIGTERM, so that files can be finished. A second one ends the process at once:
 * whoever presses Ctrl-C twice means it.
 */
export function untilInterrupted(): Promise<'SIGINT' | 'SIGTERM'> {
  return new Promise((resolve) => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(code));
        resolve(signal);
      });
    }
  });
}
