import { systemClock } from '../../src/core/clock.js';
import { MS_PER_SECOND, US_PER_MS } from '../../src/core/units.js';

const TIMEOUT_MS = 30_000;
const INTERVAL_MS = 5;

/** Resolves as soon as `condition` is true. After `timeoutMs` it fails and names `what` it was waiting for. */
export async function until(condition: () => boolean, what: string, timeoutMs = TIMEOUT_MS): Promise<void> {
  const deadlineUs = systemClock.nowUs() + timeoutMs * US_PER_MS;
  while (!condition()) {
    if (systemClock.nowUs() > deadlineUs) {
      throw new Error(`Waited ${timeoutMs / MS_PER_SECOND} s in vain for: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}
