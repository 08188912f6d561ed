import { afterEach, expect, it } from 'vitest';
import { CaptureNode, type Utterance, type UtteranceEvent } from '../../src/index.js';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';

let simulator: Simulator | undefined;

afterEach(async () => {
  await simulator?.close();
});

it('gives each utterance of every call with its audio, and the same as events', async () => {
  simulator = await startSimulator({ codec: 'pcmu', seconds: 6, interactions: 2 });
  const { apiUrl, mediaUrl, interactionIds } = simulator;
  const node = new CaptureNode({
    ...{ apiUrl, mediaUrl, clientId: 'test', clientSecret: 'test', shards: 1, maxStreams: 16 },
    interactions: interactionIds,
    audit: 'off',
  });
  const events: UtteranceEvent[] = [];
  node.on('utterance', (event) => events.push(event));
  const starts: string[] = [];
  node.on('silence', ({ info, silent }) => {
    if (!silent) starts.push(info.interactionId);
  });
  const given: Utterance[] = [];
  const queue = node.utterances();
  const reading = (async () => {
    for await (const utterance of queue) given.push(utterance);
  })();
  await node.start();
  await node.untilIdle();
  await node.close();
  await reading;
  expect(queue.droppedFrames).toBe(0);
  expect(starts.length).toBeGreaterThan(1);
  expect(given.map(({ interactionId }) => interactionId).sort()).toEqual(starts.sort());
  const spans = (of: readonly UtteranceEvent[]) =>
    of.map(({ interactionId, channel, startMs, endMs }) => `${interactionId} ${channel} ${startMs} ${endMs}`).sort();
  expect(spans(events)).toEqual(spans(given));
  for (const { audio, sampleRate, startMs, endMs, durationMs, audioStartMs, rmsDbfs, peakDbfs } of given) {
    expect(endMs - startMs).toBeCloseTo(durationMs, 6);
    expect(startMs - audioStartMs).toBeLessThanOrEqual(200);
    const audioMs = (audio.length / 2 / sampleRate) * 1000;
    expect(audioMs).toBeGreaterThanOrEqual(endMs - audioStartMs);
    expect(audioMs).toBeLessThanOrEqual(endMs - audioStartMs + 200);
    expect(rmsDbfs).toBeGreaterThan(-45);
    expect(peakDbfs).toBeGreaterThan(rmsDbfs);
  }
});
