import { once } from 'node:events';
import { expect, test } from 'vitest';
import { countPackets, Listener } from '../../support/genesys/listener.js';
import { ALL_IMPAIRMENTS, booked, start } from '../../support/genesys/running.js';
import { until } from '../../support/until.js';

test.each([1, 2] as const)(
  'the ledger equals what a client counts with all impairments at once, %i channels',
  async (channels) => {
    const seconds = 2;
    const simulator = await start({ interactions: 15, codec: 'mixed', channels, seconds, seed: 7, ...ALL_IMPAIRMENTS });
    const listener = await Listener.connect(simulator);
    listener.subscribe(simulator.interactionIds);
    await listener.ended(simulator.interactionIds);
    let packets = 0;
    const total = { lost: 0, duplicates: 0, reordered: 0 };
    for (const id of simulator.interactionIds) {
      const counts = listener.counts(id);
      expect(counts, id).toEqual(booked(simulator, id));
      // Discontinuous transmission leaves out what need not be sent; every other codec has a packet every 20 ms.
      const slots = seconds * 50 * channels;
      if (simulator.ledger().interactions[id]?.codec === 'opus') expect(counts.packets).toBeLessThanOrEqual(slots);
      else expect(counts.packets).toBe(slots);
      packets += counts.packets;
      total.lost += counts.lost;
      total.duplicates += counts.duplicates;
      total.reordered += counts.reordered;
    }
    expect(total.lost / packets).toBeGreaterThan(0.03);
    expect(total.lost / packets).toBeLessThan(0.07);
    expect(total.duplicates / packets).toBeGreaterThan(0.03);
    expect(total.reordered / packets).toBeGreaterThan(0.04);
  },
);

test('an unsubscribed interaction ends where both sides agree, and the others go on', async () => {
  const simulator = await start({ interactions: 10, codec: 'pcmu', seconds: 2, seed: 3, ...ALL_IMPAIRMENTS });
  const [first = '', ...others] = simulator.interactionIds;
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.until(() => listener.counts(first).received >= 25);
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

test('a clean close ends the ledger with the last packet sent', async () => {
  const simulator = await start({ interactions: 10, codec: 'pcma', seconds: 5, seed: 4, ...ALL_IMPAIRMENTS });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.until(() => listener.packets.length >= 200);
  await listener.leave();
  await expect.poll(() => simulator.connections().length).toBe(0);
  for (const id of simulator.interactionIds) {
    expect(simulator.ledger().interactions[id]).toMatchObject({ state: 'ended', endReason: 'unsubscribed' });
    expect(listener.counts(id), id).toEqual(booked(simulator, id));
  }
});

test('after an abnormal close packets go on being due, and a new subscription goes on in the same numbers', async () => {
  const simulator = await start({ interactions: 5, codec: 'pcmu', seconds: 2, seed: 5, ...ALL_IMPAIRMENTS });
  const first = await Listener.connect(simulator);
  first.subscribe(simulator.interactionIds);
  await first.until(() => first.packets.length >= 75);
  // A private close code is no leave-taking, but everything sent before it still arrives, so that counts are exact.
  first.socket.close(4000);
  await once(first.socket, 'close');
  const [some = ''] = simulator.interactionIds;
  await until(() => (simulator.ledger().interactions[some]?.packets ?? 0) >= 50, 'packets without a connection');
  const second = await Listener.connect(simulator);
  second.subscribe(simulator.interactionIds);
  await second.ended(simulator.interactionIds);
  for (const id of simulator.interactionIds) {
    const packets = [...first.packets, ...second.packets].filter(({ interactionId }) => interactionId === id);
    const counts = countPackets(packets);
    expect(counts, id).toEqual(booked(simulator, id));
    expect(counts.packets).toBe(100);
    expect(counts.lost).toBeGreaterThan(15);
  }
});

test('an interaction that nobody comes back for ends all the same, with every packet due', async () => {
  const simulator = await start({ interactions: 1, codec: 'pcmu', seconds: 0.6 });
  const [id = ''] = simulator.interactionIds;
  const listener = await Listener.connect(simulator);
  listener.subscribe([id]);
  await listener.until(() => listener.packets.length >= 5);
  listener.socket.terminate();
  await expect.poll(() => simulator.ledger().interactions[id]?.state, { timeout: 3000 }).toBe('ended');
  const { packets, sent, withheld } = simulator.ledger().interactions[id] ?? {};
  expect(packets).toBe(30);
  expect(sent).toBeLessThan(30);
  expect(withheld).toBe(30 - (sent ?? 0));
});

test('the newest subscription gets the media, and the old connection is left alone', async () => {
  const simulator = await start({ interactions: 2, codec: 'pcmu', seconds: 1 });
  const [shared = '', own = ''] = simulator.interactionIds;
  const first = await Listener.connect(simulator);
  first.subscribe([shared, own]);
  await first.until(() => first.counts(shared).received >= 10);
  const second = await Listener.connect(simulator);
  second.subscribe([shared]);
  await second.ended([shared]);
  await first.ended([own]);
  const packets = [...first.packets, ...second.packets].filter(({ interactionId }) => interactionId === shared);
  expect(countPackets(packets)).toEqual(booked(simulator, shared));
  expect(second.packets.length).toBeGreaterThan(20);
  expect(first.counts(own).received).toBe(50);
  expect(first.controls.filter((message) => message['interactionId'] === shared)).toEqual([]);
});

test('closing the simulator ends what is live, and the ledger stays exact', async () => {
  const simulator = await start({ interactions: 6, codec: 'pcmu', seed: 8, ...ALL_IMPAIRMENTS });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.until(() => listener.packets.length >= 60);
  const closed = once(listener.socket, 'close');
  await simulator.close();
  await simulator.done;
  await closed;
  for (const id of simulator.interactionIds) {
    expect(simulator.ledger().interactions[id]).toMatchObject({ state: 'ended', endReason: 'stopped' });
    expect(listener.counts(id), id).toEqual(booked(simulator, id));
  }
});

test('a client that does not read is cut off, and what never left counts as withheld', async () => {
  const simulator = await start({ interactions: 50, codec: 'l16', channels: 2, seconds: 6, backlogBytes: 65_536 });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.until(() => listener.packets.length >= 100);
  listener.socket.pause();
  await expect.poll(() => simulator.connections().length, { timeout: 10_000, interval: 50 }).toBe(0);
  listener.socket.resume();
  await once(listener.socket, 'close');
  let sent = 0;
  let withheld = 0;
  for (const id of simulator.interactionIds) {
    const entry = simulator.ledger().interactions[id];
    sent += entry?.sent ?? 0;
    withheld += entry?.withheld ?? 0;
  }
  expect(withheld).toBeGreaterThan(50);
  // One batch may have left in part: no more than a few packets of each channel.
  expect(listener.packets.length).toBeGreaterThanOrEqual(sent);
  expect(listener.packets.length - sent).toBeLessThan(400);
});

test('GET /books gives the ledger, GET /books/{id}/packets what was sent', async () => {
  const simulator = await start({
    interactions: 2,
    codec: 'opus',
    channels: 2,
    seconds: 0.6,
    keepPackets: true,
    ...ALL_IMPAIRMENTS,
  });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.ended(simulator.interactionIds);
  const response = await fetch(`${simulator.apiUrl}/books`);
  expect(await response.json()).toEqual(JSON.parse(JSON.stringify(simulator.ledger())));
  for (const id of simulator.interactionIds) {
    const text = await (await fetch(`${simulator.apiUrl}/books/${id}/packets`)).text();
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    const received = listener.packets.filter(({ interactionId }) => interactionId === id);
    expect(lines).toEqual(received.map((p) => [p.sequence, p.timestamp, p.payload, p.channel]));
  }
  expect((await fetch(`${simulator.apiUrl}/books/nobody/packets`)).status).toBe(404);
});

test('done is fulfilled a second after the calls are over and the clients have left', async () => {
  const simulator = await start({ interactions: 2, codec: 'pcmu', seconds: 0.4 });
  const [first = ''] = simulator.interactionIds;
  let isDone = false;
  void simulator.done.then(() => {
    isDone = true;
  });
  const listener = await Listener.connect(simulator);
  listener.subscribe([first]);
  await listener.ended([first]);
  expect(isDone).toBe(false);
  await listener.leave();
  await simulator.done;
  expect(simulator.ledger().interactions[first]?.state).toBe('ended');
});

test('every wrap of sequence numbers and timestamps is passed in step', async () => {
  const simulator = await start({ interactions: 12, codec: 'pcmu', seconds: 1.4, seed: 2 });
  const listener = await Listener.connect(simulator);
  listener.subscribe(simulator.interactionIds);
  await listener.ended(simulator.interactionIds);
  let sequenceWraps = 0;
  let timestampWraps = 0;
  for (const id of simulator.interactionIds) {
    const packets = listener.packets.filter(({ interactionId }) => interactionId === id);
    packets.reduce((before, packet) => {
      expect((packet.sequence - before.sequence + 65_536) % 65_536).toBe(1);
      expect((packet.timestamp - before.timestamp + 2 ** 32) % 2 ** 32).toBe(160);
      if (packet.sequence < before.sequence) sequenceWraps++;
      if (packet.timestamp < before.timestamp) timestampWraps++;
      return packet;
    });
  }
  expect(sequenceWraps).toBeGreaterThanOrEqual(3);
  expect(timestampWraps).toBeGreaterThanOrEqual(3);
});

test('the same seed makes the same ids, numbers, speech and impairments, whatever the timing', async () => {
  const run = async (seed: number, stallMs: number) => {
    const simulator = await start({ interactions: 6, codec: 'pcmu', seconds: 1, seed, ...ALL_IMPAIRMENTS });
    const listener = await Listener.connect(simulator);
    listener.subscribe(simulator.interactionIds);
    await listener.until(() => listener.packets.length >= 60);
    // Blocks the sender, which runs in this process, for a while.
    const deadline = performance.now() + stallMs;
    while (performance.now() < deadline);
    await listener.ended(simulator.interactionIds);
    return simulator.interactionIds.map((id) => listener.packets.filter(({ interactionId }) => interactionId === id));
  };
  const plain = await run(11, 0);
  expect(await run(11, 150)).toEqual(plain);
  expect(await run(12, 0)).not.toEqual(plain);
});
