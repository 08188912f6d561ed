import { afterEach } from 'vitest';
import type { Clock } from '../../../src/core/clock.js';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/simulator/genesys/simulator.js';
import type { Counts } from './listener.js';

const running: Simulator[] = [];

/** Starts a simulator that is closed after the test. */
export async function start(options: SimulatorOptions, clock?: Clock): Promise<Simulator> {
  const simulator = await startSimulator(options, clock);
  running.push(simulator);
  return simulator;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close()));
});

/** What the ledger says of an interaction, in the words of the listener. */
export function booked(simulator: Simulator, id: string): Counts {
  const entry = simulator.ledger().interactions[id];
  if (entry === undefined) throw new Error(`${id} is not in the ledger`);
  return {
    packets: entry.packets,
    received: entry.sent,
    lost: entry.withheld,
    duplicates: entry.duplicated,
    reordered: entry.reordered,
    payloadBytes: entry.payloadBytes,
  };
}

export const ALL_IMPAIRMENTS = { loss: 0.05, burst: 2, reorder: 0.06, duplicate: 0.05, jitterMs: 30 } as const;
