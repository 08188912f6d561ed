import { afterEach, expect, it } from 'vitest';
import {
  CaptureNode,
  type LiveUtterance,
  type Utterance,
  type UtteranceEvent,
  type UtteranceStart,
} from '../../src/index.js';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';

let simulator: Simulator | undefined;

afterEach(async () => {
  await simulator?.close();
});

async function allOf({ audio }: LiveUtterance): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const pcm of audio) parts.push(pcm);
  return Buffer.concat(parts);
}

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
  const started: UtteranceStart[] = [];
  node.on('utteranceStarted', (start) => started.push(start));
  const live: { readonly utterance: LiveUtterance; readonly audio: Promise<Buffer> }[] = [];
  const following = (async () => {
    for await (const utterance of node.liveUtterances()) live.push({ utterance, audio: allOf(utterance) });
  })();
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
  await Promise.all([reading, following]);
  expect(queue.droppedFrames).toBe(0);
  expect(starts.length).toBeGreaterThan(1);
  expect(given.map(({ interactionId }) => interactionId).sort()).toEqual(starts.sort());
  const spans = (of: readonly UtteranceEvent[]) =>
    of.map(({ interactionId, channel, startMs, endMs }) => `${interactionId} ${channel} ${startMs} ${endMs}`).sort();
  expect(spans(events)).toEqual(spans(given));
  const keys = (of: readonly UtteranceStart[]) =>
    of.map(({ interactionId, channel, startMs, part }) => `${interactionId} ${channel} ${startMs} ${part}`).sort();
  expect(keys(started)).toEqual(keys(given));
  expect(keys(live.map(({ utterance }) => utterance))).toEqual(keys(given));
  for (const { utterance, audio } of live) {
    const whole = given.find((one) => keys([one])[0] === keys([utterance])[0]);
    expect(utterance.droppedMs).toBe(0);
    expect(utterance.audioStartMs).toBe(whole?.audioStartMs);
    expect(await utterance.ended).toMatchObject({ startMs: whole?.startMs, endMs: whole?.endMs, end: whole?.end });
    // Live there is also the silence by which its end was known.
    expect((await audio).subarray(0, whole?.audio.length)).toEqual(whole?.audio);
  }
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
