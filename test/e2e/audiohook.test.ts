import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AudioHookNode, type AudioHookNodeSettings } from '../../src/node/audiohook-node.js';
import { type AudioHookClientOptions, runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { type AudioHookCallLedger, expectedPcm } from '../../src/simulator/audiohook/ledger.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import {
  API_KEY,
  auditOf,
  CLIENT_SECRET,
  expectRecorded,
  KEYS,
  recordedPcm,
  recordingsIn,
  sessionOf,
} from '../support/audiohook/node-rig.js';
import { RawCall } from '../support/audiohook/raw-call.js';
import { until } from '../support/until.js';

const SOUND = AudioHookSound.generated(5);

let out: string;
const nodes: AudioHookNode[] = [];

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-hook-'));
});

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
  rmSync(out, { recursive: true, force: true });
});

async function started(
  settings: Omit<Partial<AudioHookNodeSettings>, 'server'> = {},
  server: Partial<AudioHookNodeSettings['server']> = {},
): Promise<AudioHookNode> {
  const node = new AudioHookNode({
    out,
    record: true,
    drainMs: 0,
    maxStreams: 256,
    ...settings,
    server: { port: 0, host: '127.0.0.1', keys: KEYS, refusalDelayMs: 20, ...server },
  });
  nodes.push(node);
  await node.start();
  return node;
}

function call(node: AudioHookNode, options: Partial<AudioHookClientOptions> = {}) {
  return runAudioHookClient({
    url: node.url,
    apiKey: API_KEY,
    clientSecret: CLIENT_SECRET,
    sessions: 1,
    seconds: 2,
    sound: SOUND,
    ...options,
  });
}

describe('recordings', () => {
  it('of a call that is asked to reconnect is one, bit for bit', async () => {
    const node = await started();
    const continued: boolean[] = [];
    node.on('sessionOpened', (info) => {
      continued.push(info.continued);
      if (!info.continued) setTimeout(() => node.requestReconnect(info.interactionId ?? ''), 500);
    });
    const ledger = await call(node, { seconds: 3, rejoin: true, pingSeconds: 0.2 });
    const [one] = ledger.calls as [AudioHookCallLedger];
    expect(one).toMatchObject({ outcome: 'closed', violations: [], received: { reconnect: 1, opened: 2 } });
    expect(one.sessionIds).toHaveLength(2);
    expect(continued).toEqual([false, true]);
    expect(recordingsIn(out)).toEqual([one.conversationId]);
    expectRecorded(out, one, SOUND);
    expect(node.status().counters).toMatchObject({ continued: 1, streamsDetached: 0 });
    await until(() => node.status().sessions.length === 0, 'the client to hang up');
  });

  it('begin where the server has said by discardTo, with the time before marked', async () => {
    const node = await started({}, { discardToSeconds: ({ media }) => (media?.channels.length === 2 ? 1.5 : 0) });
    const ledger = await call(node, { seconds: 3, burstSeconds: 2 });
    const [one] = ledger.calls as [AudioHookCallLedger];
    expect(one).toMatchObject({ outcome: 'closed', violations: [] });
    expect(one.stretches[0]).toMatchObject({ kind: 'discarded', startSamples: 0, lengthSamples: 12_000 });
    expectRecorded(out, one, SOUND);
  });

  it('of a call that broke off and came back is one, and keeps the time of the call', async () => {
    const node = await started();
    const ledger = await call(node, { seconds: 3, lossAtSeconds: 1, rejoin: true });
    const [one] = ledger.calls as [AudioHookCallLedger];
    expect(one).toMatchObject({ outcome: 'closed', violations: [] });
    expect(recordingsIn(out)).toEqual([one.conversationId]);
    expect(recordedPcm(out, one.conversationId, 0).length).toBe(one.positionSamples);
    expect(sessionOf(out, one.conversationId).endReason).toBe('ended');
  });

  it('of a call that was lost and not rejoined ends as lost, with what had come', async () => {
    const node = await started({}, { lossWindowMs: 200 });
    const ledger = await call(node, { seconds: 3, lossAtSeconds: 1 });
    const [one] = ledger.calls as [AudioHookCallLedger];
    await until(() => node.streams().length === 0, 'the end of the stream');
    await node.stop();
    expect(one.outcome).toBe('lost');
    expect(sessionOf(out, one.conversationId).endReason).toBe('lost');
    const got = recordedPcm(out, one.conversationId, 0);
    expect(got.length).toBeGreaterThan(0.6 * 8000);
    expect(got).toEqual(expectedPcm(one, SOUND, 'external').subarray(0, got.length));
  });

  it('there is none of a call that brought no sound: 44 bytes of header would only look like one', async () => {
    const node = await started();
    const silent = await new RawCall(node.url).open();
    await silent.close();
    const wrong = await new RawCall(node.url).open();
    wrong.socket.send('{');
    await wrong.next('disconnect');
    await wrong.close('disconnect');
    const empty = await new RawCall(node.url).open({ media: [] });
    empty.frame(PLAIN.code);
    await empty.close();
    // Silence that was sent is sound; a pause is a part of the call.
    const quiet = await new RawCall(node.url).open();
    quiet.frame(0xff);
    await quiet.close();
    const paused = await new RawCall(node.url).open();
    paused.sendMessage('paused');
    paused.sendMessage('resumed', { start: 'PT0S', discarded: 'PT1S' });
    await paused.close();
    await node.stop();
    expect(recordingsIn(out).sort()).toEqual([quiet.conversationId, paused.conversationId].sort());
    expect(recordedPcm(out, quiet.conversationId, 0).length).toBe(1_600);
    expect(recordedPcm(out, paused.conversationId, 0).length).toBe(8_000);
    expect(auditOf(out).filter(({ action }) => action === 'audiohook_ended')).toHaveLength(5);
  });

  it('there is none of a connection probe, which is counted apart', async () => {
    const node = await started();
    const probes: boolean[] = [];
    node.on('sessionOpened', ({ probe }) => probes.push(probe));
    const ledger = await call(node, { sessions: 3, probe: true });
    expect(ledger.calls.map(({ outcome, violations }) => [outcome, violations.length])).toEqual(
      Array(3).fill(['closed', 0]),
    );
    await node.stop();
    expect(probes).toEqual([true, true, true]);
    expect(recordingsIn(out)).toEqual([]);
    expect(node.summary().streams).toBe(0);
    expect(node.status().counters.probes).toBe(3);
    expect(auditOf(out).map(({ action }) => action)).toEqual(
      expect.arrayContaining(['audiohook_probe', 'audiohook_ended']),
    );
  });
});

// Codes of G.711 that generated sound has nowhere, and what they decode to.
const MARKER = { code: 0x80, pcm: 32_124 } as const;
const PLAIN = { code: 0xa0, pcm: 7_932 } as const;

describe('pauses', () => {
  /** Whatever leaves the node while a call is played by hand. */
  async function withListener(play: (node: AudioHookNode, raw: RawCall) => Promise<void>) {
    const node = await started({ includeSilent: true, audit: 'packets', silenceThreshold: 0.0001 });
    const received = new Set<number>();
    const take = (bytes: Uint8Array): void => {
      const { buffer, byteOffset, byteLength } = Uint8Array.from(bytes);
      for (const sample of new Int16Array(buffer, byteOffset, byteLength >> 1)) received.add(sample);
    };
    node.on('mediaChunk', ({ payload }) => take(payload));
    const monitored: string[] = [];
    node.monitoringStream.on('data', (chunk: Buffer) => monitored.push(String(chunk)));
    const raw = new RawCall(node.url);
    node.once('streamOpened', ({ interactionId }) => {
      node.listen(interactionId).on('data', take);
    });
    await raw.open();
    await play(node, raw);
    await raw.close();
    await node.stop();
    for (const line of monitored
      .join('')
      .split('\n')
      .filter((text) => text !== '')) {
      const { payload } = JSON.parse(line) as { payload?: string };
      if (payload !== undefined) take(Buffer.from(payload, 'base64'));
    }
    const recorded = new Set([...recordedPcm(out, raw.conversationId, 0), ...recordedPcm(out, raw.conversationId, 1)]);
    return { node, raw, received, recorded, session: sessionOf(out, raw.conversationId) };
  }

  const marked = (session: ReturnType<typeof sessionOf>) =>
    session.spans
      .filter(({ state }) => state === 'paused')
      .map(({ channel, startMs, endMs }) => [channel, startMs, endMs]);

  it('of the client: what it sends in spite of its own pause is nowhere', async () => {
    const { received, recorded, session } = await withListener(async (_node, raw) => {
      for (let i = 0; i < 5; i++) raw.frame(PLAIN.code);
      raw.sendMessage('paused', {});
      for (let i = 0; i < 5; i++) raw.frame(MARKER.code);
      raw.sendMessage('resumed', { start: 'PT2S', discarded: 'PT0.5S' });
      for (let i = 0; i < 5; i++) raw.frame(PLAIN.code);
    });
    expect(marked(session)).toEqual([
      [0, 1000, 2500],
      [1, 1000, 2500],
    ]);
    expect([...recorded].sort()).toEqual([0, PLAIN.pcm].sort());
    expect(received.has(PLAIN.pcm)).toBe(true);
    expect(received.has(MARKER.pcm)).toBe(false);
  });

  it('of ours: nothing is kept from the call of pause() on, whatever the client does', async () => {
    const { received, recorded, session, raw } = await withListener(async (node, raw) => {
      const id = raw.conversationId;
      for (let i = 0; i < 5; i++) raw.frame(PLAIN.code);
      await until(() => node.status().counters.totals.framesReceived === 5, 'the frames');
      node.pause(id);
      // This client does not know the message pause.
      for (let i = 0; i < 5; i++) raw.frame(MARKER.code);
      await until(() => node.status().counters.totals.framesReceived === 10, 'the frames of the pause');
      node.resume(id);
      for (let i = 0; i < 5; i++) raw.frame(PLAIN.code);
    });
    expect(raw.received.map(({ type }) => type)).toEqual(['opened', 'pong', 'pause', 'resume', 'closed']);
    expect(marked(session)).toEqual([
      [0, 1000, 2000],
      [1, 1000, 2000],
    ]);
    expect([...recorded].sort()).toEqual([0, PLAIN.pcm].sort());
    expect(received.has(MARKER.pcm)).toBe(false);
  });

  it('of both: audio flows only when the last of them is over', async () => {
    const { recorded, session } = await withListener(async (node, raw) => {
      const frames = async (count: number, code: number): Promise<void> => {
        const before = node.status().counters.totals.framesReceived;
        for (let i = 0; i < count; i++) raw.frame(code);
        await until(() => node.status().counters.totals.framesReceived === before + count, 'frames');
      };
      await frames(5, PLAIN.code);
      raw.sendMessage('paused', {});
      await frames(1, MARKER.code);
      node.pause(raw.conversationId);
      raw.sendMessage('resumed', { start: 'PT1S', discarded: 'PT0S' });
      await frames(2, MARKER.code);
      node.resume(raw.conversationId);
      await frames(5, PLAIN.code);
    });
    expect(marked(session)).toEqual([
      [0, 1000, 1600],
      [1, 1000, 1600],
    ]);
    expect([...recorded].sort()).toEqual([0, PLAIN.pcm].sort());
  });

  it('of ours outlasts a session that breaks off, also when it was asked for in between', async () => {
    const node = await started();
    const first = new RawCall(node.url);
    await first.open();
    const frames = async (raw: RawCall, code: number): Promise<void> => {
      const before = node.status().counters.totals.framesReceived;
      for (let i = 0; i < 5; i++) raw.frame(code);
      await until(() => node.status().counters.totals.framesReceived === before + 5, 'frames');
    };
    await frames(first, PLAIN.code);
    node.pause(first.conversationId);
    first.abort();
    await until(() => node.status().counters.streamsDetached === 1, 'the loss');
    const second = new RawCall(node.url, { earlier: first });
    await second.open();
    expect(second.received[0]).toMatchObject({ type: 'opened', parameters: { startPaused: true } });
    await frames(second, MARKER.code);
    node.resume(first.conversationId);
    second.abort();
    await until(() => node.status().counters.streamsDetached === 1, 'the second loss');
    node.pause(first.conversationId);
    const third = new RawCall(node.url, { earlier: second });
    await third.open();
    await frames(third, MARKER.code);
    node.resume(first.conversationId);
    await frames(third, PLAIN.code);
    await third.close();
    expect(recordingsIn(out)).toEqual([first.conversationId]);
    expect([...new Set(recordedPcm(out, first.conversationId, 0))].sort()).toEqual([0, PLAIN.pcm].sort());
    expect(marked(sessionOf(out, first.conversationId))).toEqual([
      [0, 1000, 3000],
      [1, 1000, 3000],
    ]);
  });

  it('of an interaction that is not there is said so', async () => {
    const node = await started();
    expect(() => node.pause('nobody')).toThrow(expect.objectContaining({ code: 'STREAM_UNKNOWN' }));
    expect(node.sendEvent('nobody', [{ type: 'x', data: 1 }])).toBe(false);
    expect(node.requestReconnect('nobody')).toBe(false);
    expect(node.disconnect('nobody')).toBe(false);
  });

  it('startPaused keeps nothing until resume()', async () => {
    const node = await started({}, { startPaused: true });
    const ledger = await call(node, { seconds: 1 });
    const [one] = ledger.calls as [AudioHookCallLedger];
    expect(one).toMatchObject({ outcome: 'closed', violations: [] });
    expect(recordedPcm(out, one.conversationId, 0)).toEqual(new Int16Array(one.positionSamples));
  });
});

describe('events to the client', () => {
  it('are what the embedder sends, and edges of silence when asked for', async () => {
    const node = await started({ silenceEvents: true, silenceDetector: 'fixed' });
    const raw = new RawCall(node.url);
    await raw.open();
    node.sendEvent(raw.conversationId, [{ type: 'agent.note', data: { text: 'hello' } }]);
    const edges = raw.next('event');
    for (let i = 0; i < 3; i++) raw.frame(PLAIN.code);
    await edges;
    await until(() => raw.received.filter(({ type }) => type === 'event').length >= 2, 'both events');
    await raw.close();
    const entities = raw.received.flatMap(({ type, parameters }) => (type === 'event' ? parameters.entities : []));
    expect(entities[0]).toEqual({ type: 'agent.note', data: { text: 'hello' } });
    expect(entities).toContainEqual({
      type: 'trunkline.silence',
      data: { channel: 'internal', silent: false, position: 'PT0S' },
    });
  });
});

describe('clients that misbehave', () => {
  it('are bounded and counted, and the call beside them is recorded to the bit', async () => {
    const timing = { openWaitUs: 2_000_000, pingWaitUs: 4_000_000, closeWaitUs: 500_000 };
    const node = await started({}, { timing, limits: { outboundBytes: 65_536 } });
    const faults: string[] = [];
    node.on('sessionEnded', ({ fault }) => fault && faults.push(fault.kind));
    const stop = new AbortController();
    const fault = ['neverOpen', 'neverPing', 'badJson', 'halfSample'] as const;
    const bad = call(node, {
      sessions: fault.length,
      seconds: 600,
      signal: stop.signal,
      vary: (i) => ({ fault: fault[i], media: [{ format: 'L16', channels: ['external', 'internal'] }] }),
    });
    const good = await call(node, { sessions: 4, seconds: 3, frameMs: 20, pingSeconds: 0.2 });
    expect(good.calls.map(({ outcome, disconnect }) => [outcome, disconnect?.info])).toEqual(
      Array(4).fill(['closed', undefined]),
    );
    for (const one of good.calls) {
      expect(one.violations).toEqual([]);
      expectRecorded(out, one, SOUND);
    }
    await until(() => faults.filter((kind) => kind === 'timeout').length >= 2, 'the watchdog');
    await until(() => faults.filter((kind) => kind === 'protocol').length >= 2, 'the faults');
    stop.abort();
    await node.stop();
    await bad;
    expect(node.status().counters).toMatchObject({ sessionsLive: 0, internalErrors: 0 });
    expect(node.summary().packetsDropped).toBe(0);
  }, 60_000);

  it('and strangers fill neither log nor audit', async () => {
    const node = await started();
    const told: string[] = [];
    node.on('rejected', ({ reason }) => told.push(reason));
    const ledger = await call(node, { sessions: 80, rate: 10_000, fault: 'badSignature' });
    expect(ledger.outcomes.refused).toBe(80);
    expect(node.status().counters.rejected).toEqual({ signatureMismatch: 80 });
    expect(told.length).toBeGreaterThanOrEqual(50);
    expect(told.length).toBeLessThan(80);
    await node.stop();
    const audited = auditOf(out).filter(({ action }) => action === 'audiohook_rejected');
    expect(audited).toHaveLength(told.length);
    expect(audited[0]).toMatchObject({ reason: 'signatureMismatch', code: 401 });
  });
});
