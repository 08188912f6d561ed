import { afterEach, describe, expect, it } from 'vitest';
import type { FrameSink, FrameView } from '../../src/core/events.js';
import { Engine } from '../../src/engine/engine.js';
import type { OrderedStreamIngest } from '../../src/engine/input/ingest.js';
import { type AudioHookClientOptions, runAudioHookClient } from '../../src/simulator/audiohook/client.js';
import { type AudioHookCallLedger, expectedPcm } from '../../src/simulator/audiohook/ledger.js';
import { AudioHookSound } from '../../src/simulator/audiohook/sound.js';
import type { AudioHookSessionSummary } from '../../src/sources/audiohook/server/connection-contract.js';
import { AudioHookServer } from '../../src/sources/audiohook/server/server.js';
import type { AudioHookServerOptions } from '../../src/sources/audiohook/server/server-options.js';
import { API_KEY, CLIENT_SECRET, KEYS } from '../support/audiohook/node-rig.js';
import { RecordingIngest } from '../support/audiohook/recording-ingest.js';
import { until } from '../support/until.js';

const SOUND = AudioHookSound.generated(11);

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function rig(ingest: OrderedStreamIngest, options: Partial<AudioHookServerOptions> = {}) {
  const server = new AudioHookServer(ingest, { port: 0, host: '127.0.0.1', keys: KEYS, lossWindowMs: 50, ...options });
  closing.push(() => server.close());
  const port = (await server.listen())?.port ?? 0;
  const ended: AudioHookSessionSummary[] = [];
  server.on('sessionEnded', (summary) => ended.push(summary));
  const call = (more: Partial<AudioHookClientOptions>) =>
    runAudioHookClient({
      url: `ws://127.0.0.1:${port}/audiohook/ws`,
      apiKey: API_KEY,
      clientSecret: CLIENT_SECRET,
      sessions: 1,
      seconds: 2,
      sound: SOUND,
      ...more,
    });
  return { server, ended, call };
}

/** Index of the first sample that is not as the client has it in its ledger; −1 when all are, and not one is missing. */
function firstWrong(pcm: ArrayLike<number>, ledger: AudioHookCallLedger, side: 'external' | 'internal'): number {
  const due = expectedPcm(ledger, SOUND, side);
  const wrong = due.findIndex((sample, i) => sample !== pcm[i]);
  return wrong < 0 && pcm.length !== due.length ? due.length : wrong;
}

describe('a stream whose ring is full', () => {
  it('makes its own client wait, which is not taken for silent, and loses nothing; others go on', async () => {
    const ingest = new RecordingIngest();
    const { server, ended, call } = await rig(ingest, { timing: { pingWaitUs: 300_000 } });
    const slow = call({
      seconds: 40,
      speed: 10,
      frameMs: 20,
      pingSeconds: 0.1,
      pauses: [{ atSeconds: 12, lastsSeconds: 2.5 }],
      discards: [{ atSeconds: 20, lastsSeconds: 1.25 }],
    });
    await until(() => (ingest.streams[0]?.pcm(0).length ?? 0) > 8000, 'the first second');
    ingest.ordered.full.add(0);
    await until(() => server.counters().stalls === 1, 'the stall');
    const heldAt = ingest.streams[0]?.pcm(0).length;

    // Longer than the watchdog waits for a ping.
    const other = await call({ seconds: 10, speed: 10, pingSeconds: 0.1 });
    expect(other.calls[0]).toMatchObject({ outcome: 'closed', violations: [] });
    expect(firstWrong(ingest.streams[1]?.pcm(0) ?? [], other.calls[0] as AudioHookCallLedger, 'external')).toBe(-1);
    await until(() => ended.length === 1, 'the summary of the other call');
    expect(ended[0]).toMatchObject({ interactionId: other.calls[0]?.conversationId, stalls: 0 });
    // The client goes on sending 160 kB a second, and TCP keeps them.
    const taken = server.counters().totals.bytesReceived;
    await call({ probe: true });
    await call({ probe: true });
    expect(server.counters().totals.bytesReceived).toBe(taken);
    expect(ingest.streams[0]?.pcm(0).length).toBe(heldAt);

    ingest.ordered.full.delete(0);
    const [ledger] = (await slow).calls;
    expect(ledger).toMatchObject({ outcome: 'closed', violations: [] });
    expect(ingest.streams[0]).toMatchObject({ problems: [], endReason: 'ended' });
    for (const [channel, side] of [[0, 'external'] as const, [1, 'internal'] as const]) {
      expect(firstWrong(ingest.streams[0]?.pcm(channel) ?? [], ledger as AudioHookCallLedger, side)).toBe(-1);
    }
    expect(ingest.streams[0]?.marks.map(({ state, length }) => [state, length])).toEqual([
      ['paused', 20_000],
      ['discarded', 10_000],
    ]);
    await until(() => ended.length === 4, 'the summary');
    expect(ended.at(-1)).toMatchObject({ stalls: 1, droppedSamples: 0, endReason: 'ended', counts: { faults: 0 } });
    expect(server.counters()).toMatchObject({ stalls: 1, internalErrors: 0 });
  });

  it('gets what was read when its client breaks off, and when the server closes', async () => {
    const ingest = new RecordingIngest();
    const { server, ended, call } = await rig(ingest);
    const broken = call({ seconds: 60, lossAtSeconds: 1.5, burstSeconds: 3 });
    ingest.ordered.full.add(0);
    await until(() => server.counters().stalls === 1, 'the stall');
    // A socket that is not read does not show that its peer has gone.
    server.session((await broken).calls[0]?.sessionIds[0] ?? '')?.terminate();
    await until(() => ended.length === 1, 'the summary');
    const position = ended[0]?.positionSamples ?? 0;
    expect(position).toBeGreaterThan(0);
    const closed = server.close();
    await until(() => server.counters().streamsDetached === 0, 'the end of the held stream');
    expect(ingest.streams[0]).toMatchObject({ endReason: undefined });
    ingest.ordered.full.delete(0);
    await closed;
    expect(ingest.streams[0]).toMatchObject({ problems: [], endReason: 'lost' });
    expect(ingest.streams[0]?.pcm(0).length).toBe(position);
  });
});

/** Everything that the engine delivers, by interaction and channel. */
class Takings implements FrameSink {
  readonly pcm = new Map<string, [number[], number[]]>();
  readonly problems: string[] = [];

  pcmSelection() {
    return 'all' as const;
  }

  frame(frame: FrameView): void {
    const { interactionId } = frame.info;
    const sides = this.pcm.get(interactionId) ?? [[], []];
    this.pcm.set(interactionId, sides);
    const side = sides[frame.channel];
    if (frame.positionSamples !== side.length) this.problems.push(`${frame.positionSamples} after ${side.length}`);
    for (const sample of frame.copyPcm()) side.push(sample);
  }
}

describe('a ring that holds a twentieth of what comes at once', () => {
  it.each(['off', 'auto'] as const)('holds the clients up and loses not a sample, native %s', async (native) => {
    const engine = new Engine({ shards: 1, maxStreams: 64, native, inputRingBytes: 1 << 16 });
    closing.push(() => engine.close());
    const takings = new Takings();
    engine.addSink(takings);
    await engine.start();
    const { server, ended, call } = await rig(engine);
    const ledger = await call({
      sessions: 20,
      rate: 1000,
      // All of it is history, sent in one go with the close behind it.
      seconds: 10,
      burstSeconds: 10,
      pingSeconds: 0.05,
      vary: (i) => ({
        frameMs: i % 2 === 0 ? 20 : 200,
        media: [{ format: i % 4 < 2 ? 'PCMU' : 'L16', channels: ['external', 'internal'] }],
      }),
    });
    expect(ledger.outcomes).toEqual({ closed: 20, lost: 0, refused: 0, failed: 0 });
    expect(ledger.calls.flatMap(({ violations }) => violations)).toEqual([]);
    await until(() => engine.streams().length === 0 && ended.length === 20, 'the ends');
    await engine.close();
    expect(takings.problems).toEqual([]);
    for (const one of ledger.calls) {
      const sides = takings.pcm.get(one.conversationId);
      expect(firstWrong(sides?.[0] ?? [], one, 'external')).toBe(-1);
      expect(firstWrong(sides?.[1] ?? [], one, 'internal')).toBe(-1);
    }
    expect(server.counters().stalls).toBeGreaterThan(0);
    expect(ended.every(({ droppedSamples }) => droppedSamples === 0)).toBe(true);
    expect(engine.counters()).toMatchObject({ unknownStream: 0, arenaFull: 0, decodeErrors: 0 });
  });
});
