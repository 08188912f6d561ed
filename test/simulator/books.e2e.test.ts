import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../src/simulator/simulator.js';
import { Listener } from './listener.js';

const running: Simulator[] = [];

async function start(options: SimulatorOptions): Promise<Simulator> {
  const simulator = await startSimulator(options);
  running.push(simulator);
  return simulator;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((simulator) => simulator.close()));
});

/** What the books say, in the words of the listener. */
function booked(simulator: Simulator, id: string) {
  const entry = simulator.books().interactions[id];
  if (entry === undefined) throw new Error(`${id} is not in the books`);
  return {
    packets: entry.packets,
    received: entry.sent,
    lost: entry.withheld,
    duplicates: entry.duplicated,
    reordered: entry.reordered,
    payloadBytes: entry.payloadBytes,
  };
}

const ALL_TROUBLE = { loss: 0.05, burst: 2, reorder: 0.06, duplicate: 0.05, jitterMs: 30 } as const;

test.each([1, 2] as const)(
  'the books equal what a client counts with all trouble at once, %i channels',
  async (channels) => {
    const seconds = 2;
    const simulator = await start({ interactions: 40, codec: 'mixed', channels, seconds, seed: 7, ...ALL_TROUBLE });
    const listener = await Listener.connect(simulator);
    listener.subscribe(simulator.interactionIds);
    await listener.ended(simulator.interactionIds);
    const total = { lost: 0, duplicates: 0, reordered: 0 };
    for (const id of simulator.interactionIds) {
      const counts = listener.counts(id);
      expect(counts, id).toEqual(booked(simulator, id));
      expect(counts.packets).toBe(seconds * 50 * channels);
      total.lost += counts.lost;
      total.duplicates += counts.duplicates;
      total.reordered += counts.reordered;
    }
    const packets = 40 * seconds * 50 * channels;
    expect(total.lost / packets).toBeGreaterThan(0.03);
    expect(total.lost / packets).toBeLessThan(0.07);
    expect(total.duplicates / packets).toBeGreaterThan(0.03);
    expect(total.reordered / packets).toBeGreaterThan(0.04);
  },
);

test('an unsubscribed interaction ends where both sides agree, and the others go on', async () => {
  const simulator = await start({ interactions: 10, codec: 'pcmu', seconds: 2, seed: 3, ...ALL_TROUBLE });
  const [first = '', ...others] = simulator.interactionIds;
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await sleep(700);
  listener.unsubscribe([first]);
  const ended = await listener.control({ type: 'ended', interactionId: first });
  expect(ended['reason']).toBe('unsubscribed');
  const counts = listener.counts(first);
  expect(counts).toEqual(booked(simulator, first));
  expect(counts.packets).toBeGreaterThan(20);
  expect(counts.packets).toBeLessThan(100);
  await listener.ended(others);
  for (const id of others) expect(listener.counts(id), id).toEqual(booked(simulator, id));
  expect(listener.counts(first)).toEqual(counts);
});
