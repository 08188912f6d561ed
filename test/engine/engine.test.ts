import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { zeroCounts } from '../../src/core/counts.js';
import { TrunklineError } from '../../src/core/errors.js';
import type { FrameSink, StreamSummary } from '../../src/core/events.js';
import {
  AudioEngine,
  type AudioEngineOptions,
  type CreateEngineOptions,
  createEngine,
  type PushedPacket,
  type PushFormat,
  type PushOptions,
  type PushStream,
} from '../../src/engine/audio-engine.js';
import { Engine } from '../../src/engine/engine.js';
import { addPacket } from '../support/engine/packets.js';
import { until } from '../support/until.js';

let engine: AudioEngine | undefined;

afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

async function started(options: AudioEngineOptions = {}): Promise<AudioEngine> {
  engine = new AudioEngine({ shards: 1, maxStreams: 16, playoutDelayMs: 0, ...options });
  await engine.start();
  return engine;
}

function push(stream: PushStream, from: number, to: number, arrivalUs?: number): void {
  for (let n = from; n < to; n++) {
    const payload = new Uint8Array(160).fill(n & 0x7f);
    stream.push({ sequenceNumber: n, timestamp: n * 160, payload, ...(arrivalUs === undefined ? {} : { arrivalUs }) });
  }
}

describe("what an embedder's async code rejects with", () => {
  it('becomes an error event of createEngine(), whatever the listener', async () => {
    const engine = await started();
    const errors: Record<string, number> = {};
    engine.on('error', ({ message }) => {
      errors[message] = (errors[message] ?? 0) + 1;
    });
    const names = ['opened', 'frame', 'ended'] as const;
    for (const name of names) engine.on(name, async () => Promise.reject(new Error(name)));
    const stream = engine.open('call', { codec: 'pcmu' });
    push(stream, 0, 5);
    stream.end();
    await until(() => errors['ended'] === 1, 'the end');
    expect(errors).toEqual({ opened: 1, frame: 5, ended: 1 });
  });

  it('in a sink is reported like what it throws, and no other sink misses anything', async () => {
    const engine = new Engine({ shards: 1, maxStreams: 4, playoutDelayMs: 0, maxPlayoutDelayMs: 0 });
    const errors: string[] = [];
    const frames: number[] = [];
    engine.on('sinkError', ({ message }) => errors.push(message));
    const rejects = (what: string) => async (): Promise<void> => Promise.reject(new Error(what));
    engine.addSink({ streamOpened: rejects('opened'), frame: rejects('frame'), streamEnded: rejects('ended') });
    engine.addSink({ frame: ({ sequenceNumber }) => frames.push(sequenceNumber) });
    await engine.start();
    const stream = engine.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
    const payload = new Uint8Array(160);
    addPacket(engine.batch, { stream, sequence: 1, timestamp: 160, arrivalUs: systemClock.nowUs(), payload });
    engine.endStream(stream, 'ended');
    await engine.close();
    expect(errors).toEqual(['opened', 'frame', 'ended']);
    expect(frames).toEqual([1]);
  });
});

describe('createEngine', () => {
  it.each<[string, unknown, RegExp]>([
    ['null', null, /takes an object/],
    ['a number', 7, /takes an object/],
    ['an array', [], /takes an object/],
    ['native: required', { native: 'required' }, /"native" must be/],
    ['a misspelled option', { nativ: 'off' }, /no setting "nativ".*"native"/],
    ['a number as text', { silenceThreshold: '0.1' }, /"silenceThreshold" must be/],
    ['NaN', { silenceThreshold: Number.NaN }, /"silenceThreshold" must be/],
    ['half a thread', { shards: 1.5 }, /"shards" must be/],
    ['no thread', { shards: 0 }, /"shards" must be/],
    ['too many threads', { shards: 33 }, /"shards" must be/],
    ['half a stream', { maxStreams: 0.5 }, /"maxStreams" must be/],
    ['a delay as text', { playoutDelayMs: '50' }, /"playoutDelayMs" must be/],
    ['a delay without end', { maxPlayoutDelayMs: Number.POSITIVE_INFINITY }, /"maxPlayoutDelayMs" must be/],
    ['a window of no hops', { silenceWindowMs: 7 }, /"silenceWindowMs" must be/],
    ['silentPcm as text', { silentPcm: 'no' }, /"silentPcm"/],
    ['a clock that is a number', { clock: 0 }, /"clock".*nowUs/],
    ['a clock without methods', { clock: {} }, /"clock".*nowUs/],
    ['a recorder without a thread', { recorder: {} }, /"recorder"/],
    ['a signal that is none', { signal: {} }, /"signal"/],
    ['a ring of no size', { inputRingBytes: 0 }, /"inputRingBytes"/],
  ])('refuses %s', async (_what, options, message) => {
    const refused = await createEngine(options as CreateEngineOptions).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(TrunklineError);
    expect(refused).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });
  });

  it.each<[string, unknown, unknown, string]>([
    ['an id that is a number', 7, { codec: 'pcmu' }, 'CONFIG_INVALID'],
    ['no id', undefined, { codec: 'pcmu' }, 'CONFIG_INVALID'],
    ['no format', 'call', undefined, 'CONFIG_INVALID'],
    ['a misspelled key', 'call', { codec: 'pcmu', chanels: 2 }, 'CONFIG_INVALID'],
    ['an unknown byte order', 'call', { codec: 'l16', l16Order: 'middle' }, 'CONFIG_INVALID'],
    ['no codec', 'call', {}, 'CODEC_UNSUPPORTED'],
    ['three channels', 'call', { codec: 'pcmu', channels: 3 }, 'CODEC_UNSUPPORTED'],
    ['a rate as text', 'call', { codec: 'pcmu', sampleRate: '8000' }, 'CODEC_UNSUPPORTED'],
  ])('open() refuses %s', async (_what, id, format, code) => {
    const engine = await started();
    expect(() => engine.open(id as string, format as PushFormat)).toThrow(
      expect.objectContaining({ name: 'TrunklineError', code }),
    );
  });
});

describe('push', () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e18])('with an arrival of %s holds up nobody', async (arrivalUs) => {
    const engine = await started();
    const frames = new Map<string, number>();
    engine.on('frame', ({ info }) => frames.set(info.interactionId, (frames.get(info.interactionId) ?? 0) + 1));
    push(engine.open('strange', { codec: 'pcmu' }), 0, 5, arrivalUs);
    push(engine.open('plain', { codec: 'pcmu' }), 0, 5);
    await until(() => frames.get('strange') === 5 && frames.get('plain') === 5, 'both streams');
    expect(engine.counters().framesDecoded).toBe(10);
  });

  it.each(['off', 'auto'] as const)('refuses a malformed packet and goes on, native %s', async (native) => {
    const engine = await started({ native });
    const frames: number[] = [];
    engine.on('frame', ({ sequenceNumber }) => frames.push(sequenceNumber));
    const stream = engine.open('call', { codec: 'pcmu' });
    const good = { sequenceNumber: 0, timestamp: 0, payload: new Uint8Array(160) };
    const malformed: unknown[] = [
      undefined,
      null,
      'packet',
      {},
      ...[{ length: -5 }, { length: 160 }, 'text', [1, 2, 3], new Int16Array(80), new Float32Array(40), null, 160].map(
        (payload) => ({ ...good, payload }),
      ),
      { ...good, payload: new Uint8Array(160).buffer },
      { ...good, payload: Object.create(Uint8Array.prototype) },
      { ...good, channel: '0' },
      { ...good, channel: 2 },
      { ...good, sequenceNumber: 1n },
      { ...good, timestamp: '0' },
      { ...good, arrivalUs: '0' },
      { ...good, arrivalUs: 0n },
    ];
    for (const packet of malformed) {
      expect(() => stream.push(packet as PushedPacket), String(packet)).toThrow(TrunklineError);
    }
    for (let n = 1; n <= 5; n++) stream.push({ ...good, sequenceNumber: n, timestamp: n * 160 });
    await until(() => frames.length === 5, 'the packets behind the malformed ones');
    expect(frames).toEqual([1, 2, 3, 4, 5]);
    expect(engine.counters()).toMatchObject({ shardRestarts: 0, poisoned: 0, rejected: 0 });
  });

  it('refuses numbers that no packet can have', async () => {
    const engine = await started();
    const stream = engine.open('call', { codec: 'pcmu' });
    const payload = new Uint8Array(160);
    for (const bad of [Number.NaN, -1, 0.5, 2 ** 53]) {
      expect(() => stream.push({ sequenceNumber: bad, timestamp: 0, payload })).toThrow(TrunklineError);
      expect(() => stream.push({ sequenceNumber: 0, timestamp: bad, payload })).toThrow(TrunklineError);
    }
    expect(() => stream.push({ sequenceNumber: 0, timestamp: 0, payload: new Uint8Array(20_000) })).toThrow(/at most/);
  });

  it('takes nothing after the end, nor after close()', async () => {
    const engine = await started();
    const [first, second] = [engine.open('first', { codec: 'pcmu' }), engine.open('second', { codec: 'pcmu' })];
    first.end();
    const packet = { sequenceNumber: 0, timestamp: 0, payload: new Uint8Array(160) };
    expect(first.push(packet)).toBe(false);
    await engine.close();
    expect(second.push(packet)).toBe(false);
    expect(() => engine.open('third', { codec: 'pcmu' })).toThrow(/closed/);
  });
});

describe('streams', () => {
  it('are refused when the id is open, the format unknown or the engine full', async () => {
    const engine = await started({ maxStreams: 2 });
    engine.open('a', { codec: 'pcmu' });
    expect(() => engine.open('a', { codec: 'pcmu' })).toThrow(/is open/);
    expect(() => engine.open('b', { codec: 'opus', sampleRate: 44_100 })).toThrow(/Cannot decode/);
    expect(() => engine.open('', { codec: 'pcmu' })).toThrow(/interaction id/);
    engine.open('b', { codec: 'pcmu' });
    expect(() => engine.open('c', { codec: 'pcmu' })).toThrow(/in use/);
  });

  it('may come back under the same id as soon as they have been ended', async () => {
    const engine = await started({ maxStreams: 32 });
    const ended: number[] = [];
    engine.on('ended', (_info, { packetsReceived }) => ended.push(packetsReceived));
    for (let life = 1; life <= 20; life++) {
      const stream = engine.open('call', { codec: 'pcmu' });
      push(stream, 0, life);
      stream.end();
    }
    await until(() => ended.length === 20, 'twenty ends');
    expect(ended).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('keep their counts until their end has been delivered', async () => {
    const engine = new Engine({ shards: 1, maxStreams: 4 });
    const index = engine.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
    const arrivalUs = systemClock.nowUs();
    addPacket(engine.batch, { stream: index, sequence: 1, timestamp: 160, arrivalUs, payload: new Uint8Array(160) });
    engine.endStream(index, 'ended');
    const open = zeroCounts();
    engine.addOpenCounts(open);
    expect(open).toMatchObject({ packetsReceived: 1 });
    await engine.close();
  });

  it('of which one ended just as its shard died do not end another at the same index', async () => {
    const ends: { id: string; summary: StreamSummary }[] = [];
    const opened: string[] = [];
    const shardEntry = new URL('../support/engine/dies-after-close.mjs', import.meta.url).href;
    const engine = await started({ ...{ shardEntry }, maxStreams: 2, playoutDelayMs: 2, maxPlayoutDelayMs: 2 });
    // Its packets keep the engine's timer going, so that the end is delivered before the shard's next life begins.
    const ticker = engine.open('ticker', { codec: 'pcmu' });
    let ticks = 0;
    const ticking = setInterval(() => push(ticker, ticks, ++ticks), 2);
    let frames = 0;
    engine.on('opened', ({ interactionId }) => opened.push(interactionId));
    engine.on('frame', ({ info }) => {
      if (info.interactionId === 'second') frames++;
    });
    const second = new Promise<PushStream>((resolve) => {
      engine.on('ended', (info, summary) => {
        ends.push({ id: info.interactionId, summary });
        if (info.interactionId === 'first') setImmediate(() => resolve(engine.open('second', { codec: 'pcmu' })));
      });
    });
    const first = engine.open('first', { codec: 'pcmu' });
    push(first, 0, 7);
    first.end();
    const next = await second;
    push(next, 0, 5);
    await until(() => engine.counters().shardRestarts === 1 && frames === 5, 'the second stream after the restart');
    push(next, 5, 9);
    next.end();
    await until(() => ends.length === 2, 'both ends');
    clearInterval(ticking);
    expect(ends.map(({ id, summary }) => [id, summary.packetsReceived])).toEqual([
      ['first', 7],
      ['second', 9],
    ]);
    expect(opened).toEqual(['ticker', 'first', 'second']);
    expect(frames).toBe(9);
  });
});

describe('sinks', () => {
  it('each get their due whatever another throws, and may leave in the middle of a round', async () => {
    const engine = new Engine({ shards: 1, maxStreams: 4, playoutDelayMs: 0 });
    const thrown: string[] = [];
    engine.on('sinkError', (error) => thrown.push(String(error)));
    const fault = (): never => {
      throw new Error('a fault');
    };
    const log: string[] = [];
    const leaving: FrameSink = {
      streamEnded: () => {
        log.push('leaving saw the end');
        engine.removeSink(leaving);
      },
    };
    engine.addSink({ streamOpened: fault, frame: fault, streamEnded: fault });
    engine.addSink(leaving);
    engine.addSink({
      streamOpened: () => log.push('opened'),
      frame: () => log.push('frame'),
      streamEnded: () => log.push('ended'),
    });
    await engine.start();
    const index = engine.openStream('call', { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
    const arrivalUs = systemClock.nowUs();
    addPacket(engine.batch, { stream: index, sequence: 1, timestamp: 160, arrivalUs, payload: new Uint8Array(160) });
    engine.endStream(index, 'ended');
    await engine.close();
    expect(log).toEqual(['opened', 'frame', 'leaving saw the end', 'ended']);
    expect(thrown).toHaveLength(3);
  });

  it('go on when the listener for their errors throws, too', async () => {
    const engine = new Engine({ shards: 1, maxStreams: 4, playoutDelayMs: 0 });
    engine.on('sinkError', (error) => {
      throw error;
    });
    let told = 0;
    let ended = 0;
    const uncaught: unknown[] = [];
    const catchIt = (thrown: unknown): number => uncaught.push(thrown);
    engine.addSink({
      streamOpened: () => {
        told++;
        throw new Error('a fault');
      },
      streamEnded: () => ended++,
    });
    await engine.start();
    for (const id of ['one', 'two']) {
      const index = engine.openStream(id, { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 });
      engine.endStream(index, 'ended');
    }
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', catchIt);
    try {
      await until(() => ended === 2 && uncaught.length === 2, 'both ends');
    } finally {
      process.off('uncaughtException', catchIt);
      for (const listener of listeners) process.on('uncaughtException', listener);
      await engine.close();
    }
    expect(told).toBe(2);
    expect(uncaught.map(String)).toEqual(['Error: a fault', 'Error: a fault']);
  });
});

describe('close()', () => {
  it('may be called in a listener, and more than once: each end comes once', async () => {
    const engine = await started();
    const log: string[] = [];
    engine.on('frame', ({ sequenceNumber }) => {
      log.push(`frame ${sequenceNumber}`);
      void engine.close();
    });
    engine.on('ended', ({ interactionId }) => {
      log.push(`ended ${interactionId}`);
      void engine.close();
    });
    push(engine.open('call', { codec: 'pcmu' }), 0, 3);
    await until(() => log.length > 0, 'the first frame');
    await engine.close();
    expect(log).toEqual(['frame 0', 'frame 1', 'frame 2', 'ended call']);
    expect(engine.counters().framesRepeated).toBe(0);
    expect(engine.close()).toBe(engine.close());
  });
});

describe('options', () => {
  it.each([
    { shards: 0 },
    { shards: 33 },
    { maxStreams: 0 },
    { playoutDelayMs: -1 },
    { playoutDelayMs: Number.NaN },
    { silenceThreshold: 0 },
    { silenceWindowMs: 7 },
  ])('%j are refused by name', (options) => {
    expect(() => new Engine(options)).toThrow(Object.keys(options)[0]);
  });

  it('with a long playout delay have memory for what they hold', async () => {
    const engine = await started({ maxStreams: 1, playoutDelayMs: 2_000, maxPlayoutDelayMs: 2_000 });
    let received = 0;
    engine.on('ended', (_info, summary) => {
      received = summary.packetsReceived;
      expect(summary).toMatchObject({ packetsDropped: 0, packetsLost: 0 });
    });
    const stream = engine.open('call', { codec: 'pcmu' });
    push(stream, 0, 200);
    expect(stream.counts()).toMatchObject({ packetsReceived: 200, packetsDropped: 0 });
    stream.end();
    await engine.close();
    expect(received).toBe(200);
  });
});

describe('the silence detector of one stream', () => {
  it("is that of open() where it is given, and the engine's for all others", async () => {
    const engine = await started({ silenceDetector: 'adaptive', native: 'off' });
    const speech = new Map<string, number>();
    engine.on('frame', ({ info, isSilent }) => {
      if (!isSilent) speech.set(info.interactionId, (speech.get(info.interactionId) ?? 0) + 1);
    });
    // A tone that never changes is louder than the threshold of the fixed detector, and background to the adaptive one.
    const tone = Uint8Array.from({ length: 160 }, (_, i) => (i % 8 < 4 ? 0x90 : 0x10));
    const calls = [
      engine.open('adaptive', { codec: 'pcmu' }),
      engine.open('fixed', { codec: 'pcmu' }, { silenceDetector: 'fixed' }),
    ];
    for (const call of calls) {
      for (let n = 0; n < 500; n++) call.push({ sequenceNumber: n, timestamp: n * 160, payload: tone });
      call.end();
    }
    await engine.close();
    expect(speech.get('fixed')).toBe(500);
    expect(speech.get('adaptive') ?? 0).toBeLessThan(400);
  });

  it('is refused when there is no such detector', async () => {
    const engine = await started();
    const open = (silenceDetector: string) => () =>
      engine.open('call', { codec: 'pcmu' }, { silenceDetector } as PushOptions);
    expect(open('best')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
