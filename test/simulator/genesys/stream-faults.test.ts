import { once } from 'node:events';
import { expect, test } from 'vitest';
import { ManualClock } from '../../../src/core/clock.js';
import type { FaultInput } from '../../../src/simulator/genesys/fault-commands.js';
import type { SimulatorOptions } from '../../../src/simulator/genesys/simulator.js';
import { Listener, type ReceivedPacket, requestToken, signIn } from '../../support/genesys/listener.js';
import { booked, start } from '../../support/genesys/running.js';

/** One call of two seconds in virtual time. */
async function call(options: SimulatorOptions = {}) {
  const clock = new ManualClock();
  const simulator = await start({ interactions: 1, codec: 'pcmu', seconds: 2, ...options }, clock);
  const [id = ''] = simulator.interactionIds;
  const listener = await Listener.connect(simulator);
  listener.subscribe([id]);
  await listener.control({ type: 'subscribed' });
  /** Lets time pass, and waits for everything that is sent meanwhile. */
  const advance = async (ms: number): Promise<void> => {
    clock.advanceUs(ms * 1000);
    // The sender's timer, of 5 ms, is in this process: it fires before this one.
    await new Promise((resolve) => setTimeout(resolve, 20));
    listener.socket.ping('');
    await once(listener.socket, 'pong');
  };
  const fault = (one: FaultInput): void => simulator.fault(one);
  return { simulator, id, listener, packets: listener.packets, advance, fault };
}

function steps(packets: readonly ReceivedPacket[], of: 'sequence' | 'timestamp'): number[] {
  const modulus = of === 'sequence' ? 2 ** 16 : 2 ** 32;
  return packets.slice(1).map((packet, i) => (packet[of] - (packets[i] as ReceivedPacket)[of] + modulus) % modulus);
}

test('standStill: nothing is sent, and the numbers go on where they stopped', async () => {
  const { simulator, id, listener, packets, advance, fault } = await call();
  await advance(400);
  const before = packets.length;
  expect(before).toBeGreaterThan(15);
  fault({ fault: 'standStill', seconds: 1 });
  await advance(900);
  expect(packets).toHaveLength(before);
  await advance(300);
  expect(packets.length).toBeGreaterThan(before + 5);
  await advance(2000);
  await listener.ended([id]);
  expect(packets).toHaveLength(100);
  expect(new Set(steps(packets, 'sequence'))).toEqual(new Set([1]));
  expect(new Set(steps(packets, 'timestamp'))).toEqual(new Set([160]));
  expect(listener.counts(id)).toEqual(booked(simulator, id));
});

test('standStill of one channel leaves the other alone', async () => {
  const { packets, advance, fault } = await call({ channels: 2 });
  await advance(200);
  const before = packets.length;
  fault({ fault: 'standStill', seconds: 1, channel: 1 });
  await advance(500);
  const later = packets.slice(before);
  expect(later.filter(({ channel }) => channel === 0)).toHaveLength(25);
  expect(later.filter(({ channel }) => channel === 1)).toEqual([]);
});

test('codecChange: packets name the new codec, and timestamps count at its clock rate', async () => {
  const { simulator, id, listener, packets, advance, fault } = await call({ codec: 'opus' });
  await advance(1000);
  const before = packets.length;
  fault({ fault: 'codecChange', codec: 'pcmu' });
  await advance(2000);
  await listener.ended([id]);
  expect(packets[before - 1]?.codec).toBeUndefined();
  expect(new Set(packets.slice(before).map(({ codec }) => codec))).toEqual(new Set(['pcmu']));
  expect(new Set(packets.slice(before).map(({ payload }) => Buffer.from(payload, 'base64').length))).toEqual(
    new Set([160]),
  );
  expect(new Set(steps(packets, 'sequence'))).toEqual(new Set([1]));
  expect(new Set(steps(packets.slice(before), 'timestamp'))).toEqual(new Set([160]));
  expect(listener.counts(id)).toEqual(booked(simulator, id));
});

test('channelJoin: packets name their channel from then on, and the second one counts by the same clock', async () => {
  const { simulator, id, listener, packets, advance, fault } = await call();
  await advance(1000);
  expect(new Set(packets.map(({ channel }) => channel))).toEqual(new Set([0]));
  fault({ fault: 'channelJoin' });
  await advance(2000);
  await listener.ended([id]);
  const [first, second] = [0, 1].map((channel) => packets.filter((packet) => packet.channel === channel));
  expect(first).toHaveLength(100);
  expect(second?.length).toBeGreaterThanOrEqual(49);
  expect(second?.length).toBeLessThanOrEqual(51);
  const apart = ((second?.at(-1)?.timestamp ?? 0) - (first?.at(-1)?.timestamp ?? 0)) | 0;
  expect(Math.abs(apart)).toBeLessThanOrEqual(320);
  expect(listener.counts(id)).toEqual(booked(simulator, id));
});

test('secondNumbering: every packet is followed by one with other numbers', async () => {
  const { simulator, id, listener, packets, advance, fault } = await call();
  fault({ fault: 'secondNumbering', seconds: 60 });
  await advance(2500);
  await listener.ended([id]);
  expect(packets).toHaveLength(200);
  const [own, other] = [0, 1].map((place) => packets.filter((_, i) => i % 2 === place));
  expect(new Set(steps(own ?? [], 'sequence'))).toEqual(new Set([1]));
  expect(new Set(steps(other ?? [], 'sequence'))).toEqual(new Set([1]));
  expect(new Set(steps(other ?? [], 'timestamp'))).toEqual(new Set([160]));
  expect(simulator.ledger().interactions[id]).toMatchObject({ packets: 100, sent: 100, duplicated: 0 });
});

test('sequenceRestart by a jump that leaves the timestamps alone', async () => {
  const { packets, advance, fault } = await call();
  await advance(1000);
  const before = packets.length;
  fault({ fault: 'sequenceRestart', jump: 700, keepTimestamps: true });
  await advance(2000);
  expect(steps(packets, 'sequence')[before - 1]).toBe(701);
  expect(new Set(steps(packets, 'timestamp'))).toEqual(new Set([160]));
});

test('badToken: the next sign-in gets what it is told to', async () => {
  const { simulator, fault } = await call();
  fault({ fault: 'badToken', token: 'a\r\nX-Evil: 1', expiresIn: 0 });
  const response = await requestToken(simulator, `Basic ${Buffer.from('a:b').toString('base64')}`);
  expect(await response.json()).toMatchObject({ access_token: 'a\r\nX-Evil: 1', expires_in: 0 });
  expect(await signIn(simulator)).toMatch(/^[\w-]+$/);
});

test('ids are compared without regard to case, and answered as the platform writes them', async () => {
  const simulator = await start({ interactions: 1, seconds: 0.2 });
  const [id = ''] = simulator.interactionIds;
  const listener = await Listener.connect(simulator);
  listener.subscribe([id.toUpperCase()]);
  await listener.ended([id]);
  expect(new Set(listener.packets.map(({ interactionId }) => interactionId))).toEqual(new Set([id]));
});
