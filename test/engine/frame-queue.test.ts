import { describe, expect, it } from 'vitest';
import { createEngine } from '../../src/engine/audio-engine.js';
import { chunkQueue } from '../../src/engine/output/frame-queue.js';
import { frameView } from '../support/frames.js';

const LOUD = new Uint8Array(160).fill(0x90);
const SILENT = new Uint8Array(160).fill(0xff);

async function rig() {
  const engine = await createEngine({
    shards: 1,
    maxStreams: 16,
    playoutDelayMs: 0,
    maxPlayoutDelayMs: 0,
    native: 'off',
    silenceDetector: 'fixed',
  });
  const push = (id: string, from: number, to: number, payload = LOUD): void => {
    const stream = engine.open(id, { codec: 'pcmu' });
    for (let n = from; n < to; n++) stream.push({ sequenceNumber: n, timestamp: n * 160, payload });
    stream.end();
  };
  return { engine, push };
}

describe('chunks()', () => {
  it('brings the speech of every stream, and ends with the engine', async () => {
    const { engine, push } = await rig();
    const chunks = engine.chunks();
    const got: string[] = [];
    const reading = (async () => {
      for await (const { metadata, payload, isSilent } of chunks) {
        expect(payload).toHaveLength(320);
        expect(isSilent).toBe(false);
        got.push(`${metadata.interactionId} ${metadata.sequenceNumber}`);
      }
    })();
    push('a', 0, 20);
    push('b', 5, 10);
    await engine.close();
    await reading;
    expect(got.filter((one) => one.startsWith('a'))).toHaveLength(20);
    expect(got.filter((one) => one.startsWith('b'))).toEqual([5, 6, 7, 8, 9].map((n) => `b ${n}`));
    expect(chunks.droppedFrames).toBe(0);
  });

  it('leaves silence out unless it is wanted', async () => {
    const { engine, push } = await rig();
    const speech = engine.chunks();
    const all = engine.chunks({ includeSilent: true });
    push('a', 0, 50, SILENT);
    await engine.close();
    expect(speech.length).toBe(0);
    expect(all.length).toBe(50);
  });

  it('brings the silence before speech and behind it to each reader as it wants it', async () => {
    const { engine } = await rig();
    const readers = [{}, { preRollMs: 60, postRollMs: 40 }, { preRollMs: 0 }].map((options) => engine.chunks(options));
    const stream = engine.open('a', { codec: 'pcmu' });
    const isLoud = (n: number) => n >= 30 && n < 40;
    for (let n = 0; n < 80; n++) {
      stream.push({ sequenceNumber: n, timestamp: n * 160, payload: isLoud(n) ? LOUD : SILENT });
    }
    stream.end();
    await engine.close();
    const kinds: string[][] = [];
    for (const reader of readers) {
      const got: string[] = [];
      for await (const { metadata, payload, roll, isSilent } of reader) {
        expect(payload.readInt16LE(0) === 0).toBe(!isLoud(metadata.sequenceNumber));
        expect(isSilent).toBe(roll !== undefined);
        got.push(`${metadata.sequenceNumber} ${roll ?? 'speech'}`);
      }
      kinds.push(got);
    }
    const [usual = [], both = [], none = []] = kinds;
    const first = Number.parseInt(none[0] ?? '', 10);
    const last = Number.parseInt(none.at(-1) ?? '', 10);
    const of = (kind: string, from: number, to: number) =>
      Array.from({ length: to - from }, (_, k) => `${from + k} ${kind}`);
    const speech = of('speech', first, last + 1);
    expect(first).toBeGreaterThanOrEqual(30);
    expect(none).toEqual(speech);
    expect(usual).toEqual([...of('pre', first - 10, first), ...speech]);
    expect(both).toEqual([...of('pre', first - 3, first), ...speech, ...of('post', last + 1, last + 3)]);
  });

  it('follows one interaction when asked to', async () => {
    const { engine, push } = await rig();
    const one = engine.chunks({ interactionId: 'b' });
    push('a', 0, 20);
    push('b', 0, 7);
    await engine.close();
    expect(one.length).toBe(7);
  });

  it('never holds more than its capacity, and counts what it dropped', async () => {
    const { engine, push } = await rig();
    const chunks = engine.chunks({ capacity: 8 });
    push('a', 0, 50);
    await engine.close();
    expect(chunks.length).toBe(8);
    expect(chunks.droppedFrames).toBe(42);
    const read: number[] = [];
    for await (const { metadata } of chunks) read.push(metadata.sequenceNumber);
    expect(read).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('copies no samples of what finds the queue full', () => {
    const queue = chunkQueue({ capacity: 2, preRollMs: 0 }, () => {});
    let copies = 0;
    const pcm = new Int16Array(160);
    for (let k = 0; k < 10; k++) {
      const copyPcmBytes = () => {
        copies++;
        return Buffer.from(pcm.buffer);
      };
      queue.frame?.(frameView({ pcm, sequenceNumber: k, copyPcmBytes }));
    }
    expect([queue.length, queue.droppedFrames, copies]).toEqual([2, 8, 2]);
  });

  it('gives a loop over batches all that waits, in order, and what is delivered together at once', async () => {
    const queue = chunkQueue({ preRollMs: 0 }, () => {});
    const put = (from: number, to: number) => {
      for (let k = from; k < to; k++) queue.frame?.(frameView({ pcm: new Int16Array(160), sequenceNumber: k }));
    };
    const sizes: number[] = [];
    const got: number[] = [];
    put(0, 5);
    const reading = (async () => {
      for await (const batch of queue.batches()) {
        sizes.push(batch.length);
        got.push(...batch.map(({ metadata }) => metadata.sequenceNumber));
      }
    })();
    for (const [from, to] of [
      [5, 6],
      [6, 13],
    ] as const) {
      await new Promise(setImmediate);
      put(from, to);
    }
    await new Promise(setImmediate);
    queue.end();
    await reading;
    expect(sizes).toEqual([5, 1, 7]);
    expect(got).toEqual(Array.from({ length: 13 }, (_, k) => k));
  });

  it('detaches when a loop over batches is left', async () => {
    let detached = 0;
    const queue = chunkQueue({}, () => detached++);
    queue.frame?.(frameView({ pcm: new Int16Array(160) }));
    for await (const batch of queue.batches()) {
      expect(batch).toHaveLength(1);
      break;
    }
    expect([detached, queue.length]).toEqual([1, 0]);
  });

  it('goes on behind a full queue once it has been read', async () => {
    const { engine, push } = await rig();
    const chunks = engine.chunks({ capacity: 4 });
    push('a', 0, 10);
    await expect.poll(() => chunks.droppedFrames).toBe(6);
    const first = await chunks.next();
    expect(first).toMatchObject({ done: false, value: { metadata: { sequenceNumber: 0 } } });
    push('b', 0, 1);
    await engine.close();
    const rest: string[] = [];
    for await (const { metadata } of chunks) rest.push(`${metadata.interactionId} ${metadata.sequenceNumber}`);
    expect(rest).toEqual(['a 1', 'a 2', 'a 3', 'b 0']);
  });

  it('ends when its signal aborts, in a loop that waits and in one that reads', async () => {
    const { engine, push } = await rig();
    const abort = new AbortController();
    const chunks = engine.chunks({ signal: abort.signal });
    const reading = (async () => {
      let count = 0;
      for await (const _ of chunks) count++;
      return count;
    })();
    push('a', 0, 5);
    await expect.poll(() => engine.counters().framesDecoded).toBe(5);
    abort.abort();
    expect(await reading).toBeLessThanOrEqual(5);
    expect(await chunks.next()).toEqual({ done: true, value: undefined });
    const late = engine.chunks({ signal: abort.signal });
    expect(await late.next()).toEqual({ done: true, value: undefined });
    await engine.close();
  });

  it('takes no frames once its loop has been left', async () => {
    const { engine, push } = await rig();
    const chunks = engine.chunks();
    push('a', 0, 10);
    for await (const _ of chunks) break;
    push('b', 0, 10);
    await engine.close();
    expect(chunks.length).toBe(0);
    expect(chunks.droppedFrames).toBe(0);
  });

  it('serves several waiting readers in their order', async () => {
    const { engine, push } = await rig();
    const chunks = engine.chunks();
    const waiting = [chunks.next(), chunks.next(), chunks.next()];
    push('a', 0, 2);
    await engine.close();
    const results = await Promise.all(waiting);
    expect(results.map(({ value }) => value?.metadata.sequenceNumber)).toEqual([0, 1, undefined]);
    expect(results.map(({ done }) => done)).toEqual([false, false, true]);
  });

  it.each([0, -1, 1.5, Number.NaN, 1e9])('refuses a capacity of %s', async (capacity) => {
    const { engine } = await rig();
    expect(() => engine.chunks({ capacity })).toThrow(RangeError);
    await engine.close();
  });
});

describe('frames()', () => {
  it('brings every frame with its level, and its samples as selected', async () => {
    const { engine, push } = await rig();
    const speech = engine.frames();
    const none = engine.frames({ pcm: 'none' });
    const all = engine.frames({ pcm: 'all' });
    push('a', 0, 10, SILENT);
    push('b', 0, 10, LOUD);
    await engine.close();
    const lengths = async (queue: typeof speech) => {
      const found: number[] = [];
      for await (const { pcm, sampleCount } of queue) {
        expect(sampleCount).toBe(160);
        found.push(pcm.length);
      }
      return found.sort((x, y) => x - y);
    };
    expect(await lengths(none)).toEqual(new Array(20).fill(0));
    expect(await lengths(all)).toEqual(new Array(20).fill(160));
    expect(await lengths(speech)).toEqual([...new Array(10).fill(0), ...new Array(10).fill(160)]);
  });

  it('says what was lost', async () => {
    const { engine } = await rig();
    const frames = engine.frames();
    const stream = engine.open('a', { codec: 'pcmu' });
    for (const n of [0, 1, 3]) stream.push({ sequenceNumber: n, timestamp: n * 160, payload: LOUD });
    stream.end();
    await engine.close();
    const lost: boolean[] = [];
    for await (const frame of frames) lost.push(frame.lost);
    expect(lost).toEqual([false, false, true, false]);
  });

  it('copies: a frame is still the same when others have followed', async () => {
    const { engine, push } = await rig();
    const frames = engine.frames({ pcm: 'all' });
    push('a', 0, 100);
    await engine.close();
    const kept: Int16Array[] = [];
    for await (const { pcm } of frames) kept.push(pcm);
    expect(new Set(kept.map((pcm) => pcm.buffer)).size).toBe(100);
    expect(kept.every((pcm) => pcm.every((sample) => sample === kept[0]?.[0]))).toBe(true);
  });
});

describe('createEngine with a signal', () => {
  it('rejects with its reason when it has aborted', async () => {
    const reason = new Error('no longer wanted');
    await expect(createEngine({ shards: 1, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('closes the engine when it aborts later', async () => {
    const abort = new AbortController();
    const engine = await createEngine({ shards: 1, maxStreams: 16, signal: abort.signal });
    const stream = engine.open('a', { codec: 'pcmu' });
    const ended = new Promise((resolve) => engine.on('ended', (_, { endReason }) => resolve(endReason)));
    abort.abort();
    expect(await ended).toBe('stopped');
    await engine.close();
    expect(stream.push({ sequenceNumber: 0, timestamp: 0, payload: LOUD })).toBe(false);
  });

  it('is disposed of by await using, and closed by stop()', async () => {
    const engine = await createEngine({ shards: 1, maxStreams: 16 });
    await engine[Symbol.asyncDispose]();
    expect(() => engine.open('a', { codec: 'pcmu' })).toThrow(expect.objectContaining({ code: 'ENGINE_CLOSED' }));
    await expect(engine.stop()).resolves.toBeUndefined();
  });
});
