import { expect, it } from 'vitest';
import { rig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

it('an interaction that is ended: its client is asked to close, and its stream ends as stopped', async () => {
  const { dial, server, ingest, ended } = await rig();
  const call = await dial().open();
  call.frame(0x55);
  const asked = call.next('disconnect');
  expect(server.end(call.conversationId)).toBe(true);
  expect((await asked).parameters).toEqual({ reason: 'completed', info: 'Ended by the operator' });
  // What the client had sent before it read that is kept.
  call.frame(0x56);
  await call.close('disconnect');
  await until(() => ended.length === 1, 'the summary');
  expect(ended[0]).toMatchObject({ endReason: 'stopped', closeReason: 'disconnect' });
  expect(ended[0]?.counts).toMatchObject({ faults: 0, samplesKept: 3200 });
  expect(ingest.streams.map(({ endReason }) => endReason)).toEqual(['stopped']);
  expect(server.end(call.conversationId)).toBe(false);
});

it('a stream that waits for a session ends at once', async () => {
  const { dial, server, ingest } = await rig({ lossWindowMs: 60_000 });
  const call = await dial().open();
  const states = () => [...server.streams.openStreams()].map(({ detachedUntilUs }) => detachedUntilUs > 0);
  expect(states()).toEqual([false]);
  call.abort();
  await until(() => server.counters().streamsDetached === 1, 'the stream to be detached');
  expect(states()).toEqual([true]);
  expect(server.end(call.conversationId)).toBe(true);
  expect(ingest.streams.map(({ endReason }) => endReason)).toEqual(['stopped']);
  expect(states()).toEqual([]);
});

it.each(['', 'another', '../..', 'x'.repeat(10_000)])('an unknown id %j ends nothing', async (id) => {
  const { server } = await rig();
  expect(server.end(id)).toBe(false);
});
