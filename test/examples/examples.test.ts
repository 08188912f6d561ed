import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startHttpServer } from '../../src/examples/http-server.js';
import { type Caption, captions } from '../../src/examples/live-captions.js';
import { startOperations } from '../../src/examples/operations.js';
import { startBoth } from '../../src/examples/several-sources.js';
import { type TalkTime, TalkTimes } from '../../src/examples/talk-time.js';
import { slowTranscriber, transcribe } from '../../src/examples/transcription.js';
import { UtteranceFiles } from '../../src/examples/utterance-files.js';
import { type TranscriptLine, transcripts } from '../../src/examples/utterance-transcripts.js';
import { createNode, genesysSubscription, type NodeOptions } from '../../src/index.js';
import { runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';
import { API_KEY, CLIENT_SECRET, KEYS } from '../support/audiohook/node-rig.js';
import { makeTokenFile } from '../support/control/control-node.js';

const SOUND = AudioHookSound.generated(3);
const ENGINE = { shards: 1, maxStreams: 64 };

let folder: string;
let simulator: Simulator | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-examples-'));
});

afterEach(async () => {
  await simulator?.close();
  simulator = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function subscription(interactions: number, seconds: number) {
  simulator = await startSimulator({ codec: 'pcmu', seconds, interactions });
  const { apiUrl, mediaUrl, interactionIds } = simulator;
  return { apiUrl, mediaUrl, clientId: 'test', clientSecret: 'test', interactions: [...interactionIds] };
}

async function nodeOf(interactions: number, seconds: number, options: NodeOptions = {}) {
  const calls = genesysSubscription(await subscription(interactions, seconds));
  return createNode({ ...options, sources: [calls], engine: ENGINE });
}

describe('transcripts of utterances', () => {
  it('has a line for everything that was said', async () => {
    const node = await nodeOf(2, 5);
    let starts = 0;
    node.on('silence', ({ silent }) => {
      if (!silent) starts++;
    });
    const lines: TranscriptLine[] = [];
    const result = transcripts(
      node,
      async ({ audio, sampleRate }) => `${Math.round(audio.length / 2 / (sampleRate / 1000))} ms`,
      (line) => lines.push(line),
    );
    await node.untilIdle();
    await node.close();
    expect(await result).toEqual({ lines: lines.length, dropped: 0 });
    expect(lines).toHaveLength(starts);
    expect(lines.length).toBeGreaterThan(0);
    for (const { speaker, text } of lines) {
      expect(speaker).toBe('customer');
      expect(text).toMatch(/^\d{3,4} ms$/);
    }
  });
});

describe('live captions', () => {
  it('shows each utterance when it begins, and its text when it has ended', async () => {
    const node = await nodeOf(2, 5);
    const shown: Caption[] = [];
    let bytes = 0;
    const recogniser = () => {
      let own = 0;
      const write = async (pcm: Uint8Array) => {
        own += pcm.length;
        bytes += pcm.length;
      };
      return { write, finish: async () => `${own} bytes` };
    };
    const done = captions(node, recogniser, (caption) => shown.push(caption));
    await node.untilIdle();
    await node.close();
    await done;
    const texts = shown.filter(({ text }) => text !== undefined);
    expect(texts.length).toBeGreaterThan(0);
    for (const { interactionId, startMs, text, droppedMs } of texts) {
      const begin = shown.findIndex((one) => one.interactionId === interactionId && one.startMs === startMs);
      expect(shown[begin]?.text).toBeUndefined();
      expect(text).toMatch(/^\d{4,6} bytes$/);
      expect(droppedMs).toBe(0);
    }
    expect(bytes).toBeGreaterThan(0);
  });
});

describe('transcription', () => {
  it('sends all speech of a transcriber that keeps up', async () => {
    const node = await nodeOf(2, 2);
    const sent: string[] = [];
    const result = transcribe(
      node,
      slowTranscriber(0, (line) => sent.push(line)),
    );
    await node.untilIdle();
    await node.close();
    const { chunks, dropped } = await result;
    const { framesDelivered, framesSilent } = node.stats();
    expect(dropped).toBe(0);
    // Speech, and the 200 ms before it.
    expect(chunks).toBeGreaterThan(framesDelivered - framesSilent);
    expect(chunks).toBeLessThan(framesDelivered);
    const samples = sent.reduce((sum, line) => sum + Number(/: (\d+) samples/.exec(line)?.[1]), 0);
    expect(samples).toBe(chunks * 160);
  });

  it('drops and counts what a slow one cannot take, and the capture goes on', async () => {
    const node = await nodeOf(4, 2);
    const abort = new AbortController();
    const result = transcribe(
      node,
      slowTranscriber(400, () => {}),
      { capacity: 10, signal: abort.signal },
    );
    await node.untilIdle();
    abort.abort();
    await node.close();
    const { dropped } = await result;
    expect(dropped).toBeGreaterThan(0);
    const { counts, drops } = node.stats();
    expect(counts).toMatchObject({ packetsReceived: 400, packetsDropped: 0 });
    expect(drops).toBe(dropped);
  });
});

describe('a sink that writes a file for each utterance', () => {
  it('writes all speech, and no silence', async () => {
    const sink = new UtteranceFiles(join(folder, 'utterances'));
    const node = await nodeOf(2, 4, { sinks: [sink] });
    await node.untilIdle();
    await node.close();
    const files = readdirSync(join(folder, 'utterances'));
    expect(files.length).toBeGreaterThanOrEqual(2);
    expect(sink.stats()).toEqual({ dropped: 0, written: files.length });
    let samples = 0;
    for (const file of files) {
      const wav = readFileSync(join(folder, 'utterances', file));
      expect(wav.readUInt32LE(40)).toBe(wav.length - 44);
      samples += (wav.length - 44) / 2;
    }
    const { framesDelivered, framesSilent } = node.stats();
    expect(samples).toBe((framesDelivered - framesSilent) * 160);
  });
});

describe('a sink for talk times', () => {
  it('counts the speech of each call, and can be added and removed while the node runs', async () => {
    const found: TalkTime[] = [];
    const sink = new TalkTimes((talk) => found.push(talk));
    const early = new TalkTimes(() => found.push({ interactionId: 'early', seconds: [0, 0], lost: 0 }));
    const node = await nodeOf(2, 2, { sinks: [early] });
    await node.addSink(sink);
    await node.removeSink(early);
    await node.untilIdle();
    await node.close();
    expect(found.map(({ interactionId }) => interactionId).sort()).toEqual(
      [...(simulator?.interactionIds ?? [])].sort(),
    );
    const spoken = found.reduce((sum, { seconds }) => sum + seconds[0] + seconds[1], 0);
    const { framesDelivered, framesSilent, sinks } = node.stats();
    expect(spoken).toBeGreaterThan(0);
    expect(spoken).toBeLessThanOrEqual((framesDelivered - framesSilent) * 0.02 + 1e-9);
    expect(sinks).toEqual({ 'talk-times': { dropped: 0, calls: 2 } });
  });
});

describe('AudioHook inside an HTTP server', () => {
  it('serves calls, pages and its health check on one port', async () => {
    const example = await startHttpServer(KEYS);
    try {
      const ledger = await runAudioHookClient({
        ...{ url: example.audioHookUrl, apiKey: API_KEY, clientSecret: CLIENT_SECRET, sound: SOUND },
        ...{ sessions: 2, seconds: 1, frameMs: 20, pingSeconds: 0.2 },
      });
      expect(ledger.calls.map(({ outcome, violations }) => ({ outcome, violations }))).toEqual(
        new Array(2).fill({ outcome: 'closed', violations: [] }),
      );
      expect(example.calls).toHaveLength(2);
      expect(await (await fetch(`${example.url}/other`)).text()).toBe('the application\n');
      expect(await (await fetch(`${example.url}/health`)).json()).toMatchObject({ status: 'ok', sessions: 0 });
    } finally {
      await example.close();
    }
    await expect(fetch(example.url)).rejects.toThrow();
  });
});

describe('several sources in one node', () => {
  it('records calls of both, and pauses each wherever it came from', async () => {
    const options = await subscription(1, 3);
    const { node, calls, server, log } = await startBoth({
      ...{ subscription: options, hook: { port: 0, keys: KEYS, drainMs: 300 }, directory: folder },
    });
    const [id = ''] = options.interactions;
    await node.waitForStream(id);
    node.pause(id);
    expect(() => node.pause('nobody')).toThrow(expect.objectContaining({ code: 'STREAM_UNKNOWN' }));
    const hookCall = runAudioHookClient({
      ...{ url: server.url, apiKey: API_KEY, clientSecret: CLIENT_SECRET, sound: SOUND },
      ...{ sessions: 1, seconds: 2, frameMs: 20, pingSeconds: 0.2 },
    });
    await expect.poll(() => server.status().sessions.length).toBe(1);
    const [session] = server.status().sessions;
    const hookId = session?.interactionId ?? '';
    node.pause(hookId);
    await expect.poll(() => server.status().counters.totals.samplesPaused).toBeGreaterThan(0);
    node.resume(hookId);
    node.resume(id);
    const ledger = await hookCall;
    await calls.untilIdle();
    await node.close();
    expect(ledger.calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
    for (const one of [id, hookId]) {
      expect(log).toContain(`stream ${one}`);
      expect(log.filter((line) => line.startsWith('paused') && line.includes(one))).toEqual([`paused ${one} operator`]);
      expect(log.filter((line) => line.startsWith('resumed') && line.includes(one))).toEqual([
        `resumed ${one} operator`,
      ]);
      expect(existsSync(join(folder, one, 'session.json')), one).toBe(true);
      const manifest = JSON.parse(readFileSync(join(folder, one, 'session.json'), 'utf8')) as {
        spans: { state: string }[];
      };
      expect(
        manifest.spans.some(({ state }) => state === 'paused'),
        one,
      ).toBe(true);
    }
    expect(node.stats().sources).toMatchObject({ genesys: { interactions: 0 }, audiohook: { draining: true } });
    const audit = readFileSync(join(folder, 'audit.jsonl'), 'utf8');
    expect(audit).toContain('"connected"');
    expect(audit).toContain('"audiohook_opened"');
  });
});

describe('operations', () => {
  it('are below a path of the application, which keeps all other paths', async () => {
    const { file, tokens } = makeTokenFile();
    const example = await startOperations({ engine: ENGINE }, file);
    try {
      expect(await (await fetch(`${example.url}/`)).text()).toBe('the application\n');
      expect(await (await fetch(`${example.url}/trunklines`)).text()).toBe('the application\n');
      expect((await fetch(`${example.operationsUrl}/readyz`)).status).toBe(200);
      expect((await fetch(`${example.operationsUrl}/api/v1/session`)).status).toBe(401);
      const headers = { authorization: `Bearer ${tokens.viewer}` };
      const session = await fetch(`${example.operationsUrl}/api/v1/session`, { headers });
      expect(await session.json()).toMatchObject({ name: 'viewer-1', role: 'viewer' });
      expect(await fetch(example.operationsUrl, { redirect: 'manual' })).toMatchObject({ status: 308 });
      const refused = new WebSocket(`${example.operationsUrl.replace('http', 'ws')}/api/v1/interactions/call-1/audio`);
      const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }];
      expect(response.statusCode).toBe(401);
      refused.on('error', () => {});
      refused.terminate();
    } finally {
      await example.close();
    }
  });
});
