import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { encodePcmu } from '../../src/audio/codecs/g711.js';
import type { FrameSink, SilenceDetector, SilenceEdge } from '../../src/core/events.js';
import {
  audioHook,
  audit,
  createEngine,
  createNode,
  genesysSubscription,
  recorder,
  type Source,
} from '../../src/index.js';
import { startSimulator } from '../../src/simulator/genesys/simulator.js';
import { auditOf, KEYS, sessionOf } from '../support/audiohook/node-rig.js';
import { RawCall } from '../support/audiohook/raw-call.js';
import { noise } from '../support/speech.js';
import { until } from '../support/until.js';

/** Speech for the fixed detector. */
const LOUD = encodePcmu(noise(0.2, 1600));

interface Edge {
  readonly channel: number;
  readonly silent: boolean;
  readonly ms: number;
  /** Of audio of its channel, when the edge came. */
  readonly knownMs: number;
}

/** Edges of the one call of a node or an engine, as they come. */
class Edges implements FrameSink {
  readonly list: Edge[] = [];
  readonly #endMs: [number, number] = [0, 0];

  frame({ info, channel, positionSamples, sampleCount }: Parameters<NonNullable<FrameSink['frame']>>[0]): void {
    this.#endMs[channel] = ((positionSamples + sampleCount) * 1000) / info.sampleRate;
  }

  silenceEdge({ info, channel, silent, positionSamples }: SilenceEdge): void {
    const ms = (positionSamples * 1000) / info.sampleRate;
    this.list.push({ channel, silent, ms, knownMs: this.#endMs[channel] });
  }

  get isSpeech(): boolean {
    return this.list.at(-1)?.silent === false;
  }
}

async function nodeWith(source: Source, silenceDetector: SilenceDetector = 'adaptive') {
  const directory = mkdtempSync(join(tmpdir(), 'trunkline-stopped-'));
  const edges = new Edges();
  const node = await createNode({
    sources: [source],
    sinks: [recorder({ directory }), audit({ directory }), edges],
    engine: { shards: 1, silenceDetector },
  });
  onTestFinished(async () => {
    await node.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { node, edges, directory };
}

it('ends speech when a media connection of Genesys Cloud falls silent, while it is silent', async () => {
  const simulator = await startSimulator({ codec: 'pcmu', interactions: 1 });
  onTestFinished(() => simulator.close());
  const { apiUrl, mediaUrl, interactionIds } = simulator;
  const credentials = { clientId: 'test', clientSecret: 'test' };
  const source = genesysSubscription({ apiUrl, mediaUrl, ...credentials, interactions: [...interactionIds] });
  const { edges, node, directory } = await nodeWith(source);
  await until(() => edges.isSpeech, 'speech');
  simulator.fault({ fault: 'halfOpen' });
  await until(() => !edges.isSpeech, 'the end of speech');
  const last = edges.list.at(-1);
  // Nothing but the timer can have told: there is no audio in which silence has lasted half a second.
  expect((last?.knownMs ?? 0) - (last?.ms ?? 0)).toBeLessThan(400);
  const entries = () => auditOf(directory).filter(({ action }) => action === 'media_capture');
  await node.close();
  expect(entries().at(-1)).toMatchObject({ signalDetected: false, positionMs: Math.round(last?.ms ?? 0) });
});

it('ends speech when an AudioHook client sends no audio any more, and goes on with it when audio comes', async () => {
  const source = audioHook({ port: 0, host: '127.0.0.1', keys: KEYS });
  const { edges, node, directory } = await nodeWith(source, 'fixed');
  const call = await new RawCall(source.url).open();
  const speech = Buffer.alloc(2 * LOUD.length);
  for (const [at, code] of LOUD.entries()) speech.fill(code, 2 * at, 2 * at + 2);
  for (let n = 0; n < 10; n++) call.socket.send(speech);
  await until(() => edges.list.length === 4, 'the end of speech on both sides');
  expect(edges.list.map(({ silent, channel }) => [silent, channel]).sort()).toEqual([
    [false, 0],
    [false, 1],
    [true, 0],
    [true, 1],
  ]);
  for (const { silent, ms, knownMs } of edges.list) {
    expect(silent ? ms : knownMs).toBeGreaterThan(silent ? 1900 : 0);
    expect(ms).toBeLessThanOrEqual(knownMs);
  }
  for (let n = 0; n < 10; n++) call.socket.send(speech);
  await until(() => edges.list.length >= 6 && edges.isSpeech, 'speech');
  await call.close();
  await until(() => node.stats().outcomes.recorded === 1, 'the recording');
  await node.close();
  const { spans } = sessionOf(directory, call.conversationId);
  for (const channel of [0, 1]) {
    const own = spans.filter((span) => span.channel === channel);
    // The time line has no gap, since the client's has none.
    expect(own.at(-1)?.endMs).toBe(4000);
    const speechMs = own.filter(({ state }) => state === 'speech').reduce((ms, one) => ms + one.endMs - one.startMs, 0);
    expect(speechMs).toBeGreaterThan(3700);
  }
  const states = auditOf(directory).filter(({ action, channel }) => action === 'media_capture' && channel === 0);
  expect(states.map(({ signalDetected }) => signalDetected)).toEqual([true, false, true]);
});

it('ends speech when nothing is pushed any more', async () => {
  const engine = await createEngine({ shards: 1, silenceDetector: 'fixed', playoutDelayMs: 0 });
  onTestFinished(() => engine.close());
  const edges: [silent: boolean, ms: number][] = [];
  engine.on('silence', ({ silent, positionSamples }) => edges.push([silent, positionSamples / 8]));
  const call = engine.open('call', { codec: 'pcmu' });
  for (let n = 0; n < 50; n++) call.push({ sequenceNumber: n, timestamp: n * 160, payload: LOUD.subarray(0, 160) });
  await until(() => edges.length === 2, 'the end of speech');
  expect(edges).toEqual([
    [false, 0],
    [true, 1000],
  ]);
});
