import type { FaultInput } from '../../../src/simulator/genesys/fault-commands.js';
import { SeededRandom } from '../../../src/simulator/network/random.js';

export interface Strike {
  readonly atMs: number;
  readonly fault: FaultInput;
}

const AVERAGE_GAP_MS = 600;

/** Faults of every kind from `fromMs` to `toMs`: each kind at least once where there is time, then at random. */
export function planChaos(seed: number, fromMs: number, toMs: number): Strike[] {
  const random = new SeededRandom(seed, 0xc4a0);
  const some = (most: number): number => 1 + random.below(most);
  const kinds: readonly (() => FaultInput)[] = [
    () => ({ fault: 'cut', count: some(4) }),
    () => ({ fault: 'cut', code: 1011, count: some(3) }),
    () => ({ fault: 'cut', code: 1012, count: some(3) }),
    () => ({ fault: 'halfOpen', count: some(2) }),
    () => ({ fault: 'refuseToken', count: some(3) }),
    () => ({ fault: 'handshake', status: 401, count: 1 }),
    () => ({ fault: 'handshake', status: 503, count: some(3), retryAfterSeconds: 1 }),
    () => ({ fault: 'handshake', status: 429, count: some(2), retryAfterSeconds: 1 }),
    () => ({ fault: 'handshake', count: 1 }),
    () => ({ fault: 'http', status: 503, count: some(2) }),
    () => ({ fault: 'http', status: 429, count: some(2), retryAfterSeconds: 1 }),
    () => ({ fault: 'tokensForgotten' }),
    () => ({ fault: 'mediaNotAvailable', count: some(10) }),
    () => ({ fault: 'sequenceRestart', count: some(20) }),
    () => ({ fault: 'duplicateStreams', count: some(50), seconds: 1 + random.unit() }),
    () => ({ fault: 'notificationGap', seconds: random.unit() }),
    () => ({ fault: 'restart', downSeconds: 0.3 + 0.7 * random.unit(), forgetTokens: random.unit() < 0.5 }),
  ];
  // A permutation first, so that a short run sees all of them.
  const turn = kinds.map((kind) => ({ kind, at: random.unit() })).sort((a, b) => a.at - b.at);
  const strikes: Strike[] = [];
  for (let atMs = fromMs; atMs < toMs; atMs += AVERAGE_GAP_MS * 2 * random.unit()) {
    const kind = turn[strikes.length]?.kind ?? kinds[random.below(kinds.length)];
    if (kind !== undefined) strikes.push({ atMs, fault: kind() });
  }
  return strikes;
}
