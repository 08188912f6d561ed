import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decodePcma, decodePcmu } from '../../../src/audio/codecs/g711.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import { parseWav } from '../../../src/audio/wav.js';
import { type Simulator, type SimulatorOptions, startSimulator } from '../../../src/simulator/genesys/simulator.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { genesysSubscription } from '../../../src/sources/genesys/genesys-subscription.js';
import { indexIn, openWav, samplesOf, sideOf, trimmed, WebSocketListener } from '../../support/control/audio-client.js';
import { type ControlNode, makeTokenFile, startControlNode } from '../../support/control/control-node.js';
import { LiveCalls } from '../../support/control/live-call.js';
import { LEVEL } from '../../support/genesys/secure-pause.js';
import { TurnClock } from '../../support/turn-clock.js';
import { until } from '../../support/until.js';

interface Rig extends ControlNode {
  readonly simulator: Simulator;
  readonly out: string;
  /** The address of the live audio of a call. */
  audio(id: string, suffix?: string): string;
}

/** Calls of the simulator, captured and recorded. */
async function startRig(options: SimulatorOptions, queues: string[] = []): Promise<Rig> {
  const out = mkdtempSync(join(tmpdir(), 'trunkline-listen-'));
  onTestFinished(() => rmSync(out, { recursive: true, force: true }));
  // Audio that comes later than 200 ms is left out by design: with this clock, a busy machine makes none late.
  const clock = new TurnClock();
  onTestFinished(() => clock.stop());
  const simulator = await startSimulator({ keepPackets: true, ...options, queues }, clock);
  onTestFinished(() => simulator.close());
  const { apiUrl, mediaUrl, interactionIds } = simulator;
  const source = genesysSubscription({
    ...{ clientId: 'id', clientSecret: 'secret', apiUrl, mediaUrl, queues, opusSampleRate: 48_000 },
    interactions: queues.length > 0 ? [] : interactionIds,
  });
  const sinks = [recorder({ directory: out })];
  const rig = await startControlNode({}, { clock, sources: [source], sinks, engine: { native: 'auto' } });
  // All but 60 ms of what has arrived has been decoded; losses are decoded as well, and nothing of pauses.
  const backlogPackets = 3 * (options.interactions ?? 1) * (options.channels ?? 1);
  clock.isBehind = () => {
    const { counts, engine } = rig.node.stats();
    return counts.packetsReceived + counts.packetsLost - engine.packetsPaused - engine.framesDecoded > backlogPackets;
  };
  const audio = (id: string, suffix = '') => `${rig.control.url}/api/v1/interactions/${id}/audio${suffix}`;
  return { ...rig, simulator, out, audio };
}

/** What the simulator has sent on one channel, decoded. */
async function sentPcm(simulator: Simulator, id: string, channel: 0 | 1): Promise<Int16Array> {
  const answer = await fetch(new URL(`/books/${id}/packets`, simulator.apiUrl));
  const lines = (await answer.text()).trimEnd().split('\n');
  const packets = lines.map(
    (line) => JSON.parse(line) as [sequence: number, at: number, payload: string, side: number],
  );
  const decode = simulator.ledger().interactions[id]?.codec === 'pcma' ? decodePcma : decodePcmu;
  const parts = packets
    .filter(([, , , side]) => side === channel)
    .map(([, , payload]) => {
      const bytes = Buffer.from(payload, 'base64');
      const pcm = new SampleMemory(new ArrayBuffer(bytes.length * 2));
      decode(SampleMemory.copyOf(bytes), 0, bytes.length, pcm, 0);
      return pcm.samples;
    });
  return Int16Array.from(parts.flatMap((part) => [...part]));
}

describe('live audio', () => {
  it.each(['pcmu', 'pcma'] as const)('of %s has the samples that were sent, to the last one', async (codec) => {
    const { simulator, node, audio } = await startRig({ codec, channels: 2, seconds: 3 });
    const [id = ''] = simulator.interactionIds;
    await node.waitForStream(id);
    const listener = await new WebSocketListener(audio(id)).open();
    const wav = await openWav(audio(id, '.wav?channels=mono'));
    const wavParts = wav.toArray();
    await until(() => listener.closed !== undefined, 'the end of the call');
    expect(listener.closed).toEqual({ code: 1000, reason: 'ended' });
    expect(listener.messages).toEqual([{ sampleRate: 8000, channels: 2, format: 's16le' }]);
    const sent = [await sentPcm(simulator, id, 0), await sentPcm(simulator, id, 1)] as const;
    for (const side of [0, 1] as const) {
      const received = trimmed(sideOf(listener.samples, side));
      const at = indexIn(sent[side], received);
      expect(at, `side ${side} of ${received.length} samples`).toBeGreaterThanOrEqual(0);
      expect(received.length).toBeGreaterThan(8_000);
      expect(at + received.length).toBe(sent[side].findLastIndex((sample) => sample !== 0) + 1);
    }
    // Mono has the sum of both.
    const bytes = Buffer.concat(await wavParts);
    const mixed = trimmed(samplesOf(bytes.subarray(parseWav(bytes).dataOffset)));
    const sum = Int16Array.from(sent[0], (sample, i) => clip(sample + (sent[1][i] ?? 0)));
    expect(mixed.length).toBeGreaterThan(8_000);
    expect(indexIn(sum, mixed)).toBeGreaterThanOrEqual(0);
  });

  it('of Opus at 48 kHz has both channels as the recording has them', async () => {
    const { simulator, node, audio, out } = await startRig({ codec: 'opus', channels: 2, seconds: 3, interactions: 2 });
    const [, id = ''] = simulator.interactionIds;
    await node.waitForStream(id);
    const listener = await new WebSocketListener(audio(id)).open();
    await until(() => listener.closed !== undefined, 'the end of the call');
    expect(listener.messages[0]).toEqual({ sampleRate: 48_000, channels: 2, format: 's16le' });
    await until(() => node.streams().length === 0, 'the end of the calls');
    await node.close();
    const file = readFileSync(join(out, id, 'audio.wav'));
    const recorded = samplesOf(file.subarray(parseWav(file).dataOffset));
    const received = trimmed(listener.samples);
    expect(received.length).toBeGreaterThan(48_000);
    expect(indexIn(recorded, received)).toBeGreaterThanOrEqual(0);
  });

  it('has silence in a secure pause and goes on after it; nothing of what is said in it is there', async () => {
    const { simulator, node, audio } = await startRig({ securePause: 1, seconds: 6, channels: 2, leadSeconds: 1 }, [
      'q',
    ]);
    const pauses: boolean[] = [];
    node.on('paused', ({ paused }) => pauses.push(paused));
    const [id = ''] = simulator.interactionIds;
    await node.waitForStream(id);
    const listener = await new WebSocketListener(audio(id)).open();
    await until(() => pauses.length === 1, 'the secure pause', 30_000);
    const before = listener.length;
    await until(() => pauses.length === 2, 'the end of the pause', 30_000);
    expect(listener.length).toBeGreaterThan(before);
    const paused = listener.length;
    await until(() => listener.closed !== undefined, 'the end of the call', 30_000);
    expect(listener.samples.length).toBeGreaterThan(paused);
    expect(loudest(listener.samples)).toBeGreaterThan(0);
    expect(loudest(listener.samples)).toBeLessThan(LEVEL);
  }, 60_000);
});

describe('a call without packets', () => {
  it('is silence as it passes; an operator pause as well', async () => {
    const calls = new LiveCalls();
    const { node, control } = await startControlNode({}, { sources: [calls] });
    calls.open('silent');
    const url = `${control.url}/api/v1/interactions/silent/audio`;
    const listener = await new WebSocketListener(url).open();
    const wav = await openWav(`${url}.wav?channels=stereo&rate=16000`);
    expect(wav.headers).toMatchObject({ 'content-type': 'audio/wav', 'cache-control': 'no-store' });
    const wavParts: Buffer[] = [];
    wav.on('data', (bytes: Buffer) => wavParts.push(bytes));
    await until(() => listener.length > 4_000, 'half a second of silence');
    expect(loudest(listener.samples)).toBe(0);
    for (let n = 0; n < 10; n++) calls.send('silent', new Int16Array(160).fill(1_000 + n));
    await until(() => loudest(listener.samples) === 1_009, 'the audio');
    node.pause('silent');
    calls.send('silent', new Int16Array(160).fill(20_000));
    const before = listener.length;
    await until(() => listener.length > before + 4_000, 'half a second of the pause');
    expect(loudest(listener.samples)).toBe(1_009);
    // One who begins to listen in the pause has silence from the start.
    const late = await new WebSocketListener(url).open();
    await until(() => late.length > 2_000, 'a quarter of a second of the pause');
    expect(loudest(late.samples)).toBe(0);
    calls.end('silent');
    await until(() => listener.closed !== undefined, 'the end');
    expect(listener.closed).toEqual({ code: 1000, reason: 'ended' });
    await until(() => wav.complete, 'the end of the file');
    const bytes = Buffer.concat(wavParts);
    expect(parseWav(bytes)).toMatchObject({ sampleRate: 16_000, channels: 2, bitsPerSample: 16 });
    // Twice the rate and two channels; both begin within a moment of each other.
    expect((bytes.length - 44) / 2 / 4 / listener.length).toBeCloseTo(1, 0);
    // Another call of that id is another stream.
    calls.open('silent');
    const again = await new WebSocketListener(url).open();
    await until(() => again.length > 0, 'the second call');
    expect(listener.closed).toEqual({ code: 1000, reason: 'ended' });
  });
});

describe('listeners that never read', () => {
  it('cost a bounded amount, are cut off and audited; another listener misses nothing', async () => {
    const calls = new LiveCalls();
    const { control, audited } = await startControlNode({ limits: { stalledMs: 1_000 } }, { sources: [calls] });
    calls.open('call', { clockRate: 48_000, sampleRate: 48_000, channels: 2 });
    const url = `${control.url}/api/v1/interactions/call/audio`;
    const reader = await new WebSocketListener(url).open();
    for (let n = 0; n < 10; n++) await openWav(`${url}.wav`);
    expect(control.stats()).toMatchObject({ listeners: 11 });
    const before = process.memoryUsage().arrayBuffers;
    // 60 s of 48 kHz, much faster than real time: 11.5 MB for each of them, of which sockets take some.
    const FRAMES = 3_000;
    for (let n = 0; n < FRAMES; n++) {
      const samples = new Int16Array(960).fill(n + 1);
      calls.send(
        'call',
        samples,
        samples.map((sample) => -sample),
      );
      if (n % 20 === 19) await until(() => reader.length >= (n - 60) * 1_920, `frame ${n}`);
    }
    calls.send('call', new Int16Array(960), new Int16Array(960));
    await until(
      () => indexIn(reader.samples.subarray(-400_000), Int16Array.of(FRAMES, -FRAMES)) >= 0,
      'the last frame',
    );
    const received = sideOf(trimmed(reader.samples), 0);
    const distinct = received.filter((sample, i) => sample !== received[i - 1] && sample !== 0);
    expect(distinct).toEqual(Int16Array.from({ length: FRAMES }, (_, i) => i + 1));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60e6);
    await until(() => control.stats().listeners === 1, 'those who do not read to be cut off');
    const ended = audited.filter(({ action }) => action === 'listen_ended');
    expect(ended).toHaveLength(10);
    expect(Object.keys(control.refusals()).some((reason) => /slowReader|listenerStalled/.test(reason))).toBe(true);
  }, 60_000);
});

describe('who may listen', () => {
  it('needs the role listener; every listening is audited with the name of the token, and so is a refusal', async () => {
    const calls = new LiveCalls();
    const { file, tokens } = makeTokenFile();
    const { control, audited, ask } = await startControlNode({ tokensFile: file }, { sources: [calls] });
    calls.open('call');
    const path = '/api/v1/interactions/call/audio';
    for (const token of [undefined, tokens.viewer]) {
      const answer = await ask(`${path}.wav`, token === undefined ? {} : { token });
      expect(answer.status).toBe(token === undefined ? 401 : 403);
      expect((await ask(`${path}/ticket`, { method: 'POST', ...(token && { token }) })).status).toBe(answer.status);
      const protocols = ['trunkline.audio.v1', ...(token === undefined ? [] : [`trunkline.bearer.${token}`])];
      const refused = new WebSocketListener(`${control.url}${path}`, protocols);
      await until(() => refused.closed !== undefined, 'the refusal');
      expect(refused.closed).toMatchObject({ code: 1006 });
    }
    expect(control.stats()).toMatchObject({ listeners: 0 });
    const protocols = ['trunkline.audio.v1', `trunkline.bearer.${tokens.listener}`];
    const listener = await new WebSocketListener(`${control.url}${path}`, protocols).open();
    expect(listener.socket.protocol).toBe('trunkline.audio.v1');
    listener.socket.close();
    await until(() => control.stats().listeners === 0, 'the listener to be gone');
    const listened = audited.filter(({ action }) => action.startsWith('listen_'));
    expect(listened).toEqual([
      {
        ...{ source: 'control', action: 'listen_started', interactionId: 'call' },
        fields: { actor: 'listener-1', remoteAddress: '127.0.0.1' },
      },
      {
        ...{ source: 'control', action: 'listen_ended', interactionId: 'call' },
        fields: { reason: 'left', durationMs: expect.any(Number), actor: 'listener-1', remoteAddress: '127.0.0.1' },
      },
    ]);
    expect(audited.filter(({ action }) => action === 'control_refused').length).toBe(6);
    expect(JSON.stringify(audited)).not.toContain(tokens.listener);
  });

  it('may open the audio once with a ticket, for <audio> elements', async () => {
    const calls = new LiveCalls();
    const { file, tokens } = makeTokenFile();
    const { control, ask } = await startControlNode({ tokensFile: file }, { sources: [calls] });
    calls.open('call 1/2');
    const path = `/api/v1/interactions/${encodeURIComponent('call 1/2')}/audio`;
    const { status, json } = await ask(`${path}/ticket`, { method: 'POST', token: tokens.listener });
    const ticket = json as { path: string; ticket: string; expiresInSeconds: number };
    expect([status, ticket.expiresInSeconds]).toEqual([200, 30]);
    const wav = await openWav(`${control.url}${ticket.path}&channels=mono`);
    expect(wav.statusCode).toBe(200);
    expect((await openWav(`${control.url}${ticket.path}`)).statusCode).toBe(401);
  });

  it('is given a path with the ticket that is right below a base path as well', async () => {
    const calls = new LiveCalls();
    const { file, tokens } = makeTokenFile();
    const { control, ask } = await startControlNode({ tokensFile: file, basePath: '/trunkline' }, { sources: [calls] });
    calls.open('call');
    const { json } = await ask('/api/v1/interactions/call/audio/ticket', { method: 'POST', token: tokens.listener });
    const { path } = json as { path: string };
    expect(path).toMatch(/^\/trunkline\/api\/v1\//);
    expect((await openWav(new URL(path, control.url).href)).statusCode).toBe(200);
  });

  it('is told what is wrong with a request', async () => {
    const calls = new LiveCalls();
    const { control, ask } = await startControlNode({}, { sources: [calls] });
    calls.open('call');
    const path = '/api/v1/interactions/call/audio';
    expect(await ask('/api/v1/interactions/nobody/audio.wav')).toMatchObject({
      status: 404,
      json: { error: { code: 'notFound', message: expect.stringContaining('not being captured') } },
    });
    for (const query of ['rate=7000', 'rate=x', 'channels=5']) {
      expect(await ask(`${path}.wav?${query}`), query).toMatchObject({ status: 400, json: { error: {} } });
      const refused = new WebSocketListener(`${control.url}${path}?${query}`);
      await until(() => refused.closed !== undefined, 'the refusal');
    }
    expect(control.stats()).toMatchObject({ listeners: 0 });
  });

  it('is asked to leave when the server closes', async () => {
    const calls = new LiveCalls();
    const { node, control } = await startControlNode({}, { sources: [calls] });
    calls.open('call');
    const listener = await new WebSocketListener(`${control.url}/api/v1/interactions/call/audio`).open();
    await until(() => listener.length > 0, 'some audio');
    await node.close();
    await until(() => listener.closed !== undefined, 'the end');
    expect(listener.closed).toEqual({ code: 1000, reason: 'stopped' });
  });
});

const run = promisify(execFile);
const hasFfmpeg = await run('ffmpeg', ['-version']).then(
  () => true,
  () => false,
);

describe.skipIf(!hasFfmpeg)('ffmpeg', () => {
  it('plays the WAV file while the call goes on', async () => {
    const { simulator, node, audio } = await startRig({ seconds: 20 });
    const [id = ''] = simulator.interactionIds;
    await node.waitForStream(id);
    // Without these two it collects five seconds before it begins.
    const atOnce = ['-probesize', '32', '-analyzeduration', '0'];
    const args = ['-v', 'error', ...atOnce, '-i', audio(id, '.wav'), '-t', '1.5', '-f', 's16le', '-'];
    const { stdout } = await run('ffmpeg', args, { encoding: 'buffer' });
    expect(stdout.length).toBe(1.5 * 16_000);
    expect(node.streams()).toHaveLength(1);
    const sent = await sentPcm(simulator, id, 0);
    expect(indexIn(sent, trimmed(samplesOf(stdout)))).toBeGreaterThanOrEqual(0);
  });
});

function clip(sample: number): number {
  return Math.max(-32_768, Math.min(32_767, sample));
}

function loudest(samples: Int16Array): number {
  return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
}
