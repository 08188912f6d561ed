import process from 'node:process';
import { complain, exitProcess } from './output.js';

/** Exit codes of a second signal, as shells give them. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** What a command may take to finish that has no setting for it. */
export const STOP_SECONDS = 11;

/** The request to stop, by SIGINT or SIGTERM. */
export interface Interruption {
  /** Resolves at the first signal, so that files can be finished. */
  readonly requested: Promise<NodeJS.Signals>;
  /** Called just before the process is ended because finishing took too long. */
  onLate: () => void;
  /** Called at each SIGHUP. */
  onHangup: () => void;
}

/**
 * Watches for signals. After the first SIGINT or SIGTERM the process ends within `seconds`, whatever hangs, with exit
 * code 1 when it was not finished; at a second one it ends at once.
 *
 * SIGHUP and SIGUSR2 do not end the process: they come when a terminal closes and from tools that rotate logs.
 */
export function watchSignals(seconds: number): Interruption {
  let resolve: (signal: NodeJS.Signals) => void = () => {};
  const requested = new Promise<NodeJS.Signals>((resolvePromise) => {
    resolve = resolvePromise;
  });
  const interruption: Interruption = { requested, onLate: () => {}, onHangup: () => {} };
  let signals = 0;
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    process.on(signal, () => {
      if (++signals > 1) process.exit(code);
      endWithin(seconds, interruption);
      resolve(signal as NodeJS.Signals);
    });
  }
  process.on('SIGHUP', () => interruption.onHangup());
  process.on('SIGUSR2', () => {});
  return interruption;
}

function endWithin(seconds: number, interruption: Interruption): void {
  setTimeout(() => {
    process.exitCode = 1;
    complain(`not everything was finished ${seconds} s after the request to stop; ending now`);
    interruption.onLate();
    void exitProcess();
  }, seconds * 1000);
}
