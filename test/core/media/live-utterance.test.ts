import { describe, expect, it } from 'vitest';
import type { LiveUtterance } from '../../../src/core/media/live-utterance.js';
import type { UtteranceEvent } from '../../../src/core/media/utterance.js';
import { type LiveUtteranceOptions, liveUtteranceQueue } from '../../../src/engine/output/live-utterances.js';
import { frameView, streamInfo } from '../../support/frames.js';

const info = streamInfo({ channels: 2 });
const MS = 8;

function rig(options: LiveUtteranceOptions = {}) {
  let isDetached = false;
  const queue = liveUtteranceQueue(options, () => {
    isDetached = true;
  });
  let position = 0;
  /** Frames of 20 ms whose samples all have one value. */
  const frames = (ms: number, value: number) => {
    for (let at = 0; at < ms; at += 20, position += 160) {
      const pcm = new Int16Array(160).fill(value);
      queue.frame?.(
        frameView({ info, positionSamples: position, pcm, meanSquare: (value / 32_768) ** 2, peak: value }),
      );
    }
  };
  const edge = (silent: boolean, ms: number) =>
    queue.silenceEdge?.({ info, channel: 0, silent, positionSamples: ms * MS });
  const next = async (): Promise<LiveUtterance> => {
    const { value } = await queue.next();
    if (value === undefined) throw new Error('There is no utterance.');
    return value;
  };
  return { queue, frames, edge, next, isDetached: () => isDetached };
}

/** All that comes, and how long each part of it is, in milliseconds. */
async function read({ audio }: LiveUtterance) {
  const parts: number[] = [];
  const values: number[] = [];
  for await (const pcm of audio) {
    parts.push(pcm.length / 2 / MS);
    for (let at = 0; at < pcm.length; at += 2) values.push(pcm.readInt16LE(at));
  }
  return { parts, values };
}

const ended = async ({ ended }: LiveUtterance): Promise<Partial<UtteranceEvent> | undefined> => await ended;

describe('an utterance while it is spoken', () => {
  it('brings its pre-roll and its beginning at once, then each frame, and ends with it', async () => {
    const { frames, edge, next } = rig();
    frames(1000, 10);
    frames(60, 5000);
    edge(false, 1000);
    const utterance = await next();
    expect(utterance).toMatchObject({ channel: 0, startMs: 1000, part: 1, audioStartMs: 800, sampleRate: 8000 });
    expect((await utterance.audio.next()).value).toHaveLength(2 * 260 * MS);
    const waiting = utterance.audio.next();
    frames(20, 5000);
    expect((await waiting).value).toHaveLength(2 * 20 * MS);
    const rest = read(utterance);
    frames(920, 5000);
    frames(500, 10);
    edge(true, 2000);
    expect((await rest).parts).toEqual(Array(71).fill(20));
    expect(await ended(utterance)).toMatchObject({ startMs: 1000, endMs: 2000, end: 'silence', part: 1 });
    expect(utterance.droppedMs).toBe(0);
  });

  it('goes on in parts when it is too long, each with its own audio', async () => {
    const { frames, edge, next } = rig({ maxMs: 1000 });
    frames(20, 5000);
    edge(false, 0);
    frames(780, 5000);
    frames(40, 100);
    frames(360, 5000);
    const [first, second] = [await next(), await next()];
    expect(await ended(first)).toMatchObject({ startMs: 0, endMs: 820, end: 'maxLength', part: 1 });
    expect(second).toMatchObject({ startMs: 820, part: 2, audioStartMs: 820 });
    frames(500, 10);
    edge(true, 1200);
    expect((await read(first)).values.slice(0, 820 * MS)).toHaveLength(820 * MS);
    expect((await read(second)).values).toHaveLength(880 * MS);
    expect(await ended(second)).toMatchObject({ startMs: 820, endMs: 1200, end: 'silence', part: 2 });
  });

  it('is none after all when it turns out to be too short', async () => {
    const { frames, edge, next } = rig({ minMs: 100 });
    frames(80, 5000);
    edge(false, 0);
    const utterance = await next();
    frames(600, 10);
    edge(true, 80);
    expect(await ended(utterance)).toBeUndefined();
    expect((await read(utterance)).values).toHaveLength(680 * MS);
  });

  it('ends without waiting for a post-roll when packets have stopped, and with its stream', async () => {
    const { queue, frames, edge, next } = rig();
    frames(500, 5000);
    edge(false, 0);
    const first = await next();
    edge(true, 500);
    expect(await ended(first)).toMatchObject({ endMs: 500, end: 'silence' });
    frames(500, 5000);
    edge(false, 500);
    const second = await next();
    queue.streamEnded?.(info, {} as never);
    expect(await ended(second)).toMatchObject({ endMs: 1000, end: 'streamEnded' });
    expect((await read(second)).values).toHaveLength(500 * MS);
  });
});

describe('a reader of live utterances', () => {
  it('that is slow loses what comes, counted, and keeps what was there first', async () => {
    const { queue, frames, edge, next } = rig({ bufferMs: 400 });
    frames(100, 1);
    edge(false, 0);
    const utterance = await next();
    frames(400, 2);
    expect([utterance.droppedMs, queue.droppedFrames]).toEqual([100, 5]);
    expect((await utterance.audio.next()).value).toHaveLength(2 * 100 * MS);
    frames(100, 3);
    queue.streamEnded?.(info, {} as never);
    const { values } = await read(utterance);
    expect([values.length, values.at(-1)]).toEqual([400 * MS, 3]);
  });

  it('has a bounded memory, also when nobody reads', async () => {
    const { frames, edge, next } = rig({ maxBufferedMegabytes: 1, bufferMs: 600_000, maxMs: 600_000 });
    frames(20, 1);
    edge(false, 0);
    const utterance = await next();
    frames(120_000, 2);
    expect(await ended(utterance)).toMatchObject({ startMs: 0, end: 'noMemory' });
    const bytes = 2 * (await read(utterance)).values.length;
    expect(bytes).toBeGreaterThan(100_000);
    expect(bytes).toBeLessThanOrEqual(1_000_000);
  });

  it('that leaves an utterance stops its audio alone; that leaves the loop, or aborts, all of it', async () => {
    const left = rig();
    left.frames(40, 1);
    left.edge(false, 0);
    const utterance = await left.next();
    for await (const _ of utterance.audio) break;
    left.frames(1000, 1);
    expect((await utterance.audio.next()).done).toBe(true);
    left.frames(500, 0);
    left.edge(true, 1040);
    expect(await ended(utterance)).toMatchObject({ endMs: 1040 });
    left.frames(100, 1);
    left.edge(false, 1540);
    const other = await left.next();
    const waiting = other.audio.next().then(() => other.audio.next());
    await left.queue.return?.();
    expect([(await waiting).done, await ended(other), left.isDetached()]).toEqual([true, undefined, true]);

    const abort = new AbortController();
    const aborted = rig({ signal: abort.signal });
    aborted.frames(40, 1);
    aborted.edge(false, 0);
    const last = await aborted.next();
    abort.abort();
    expect(await last.audio.next()).toEqual({ done: true, value: undefined });
    expect([await ended(last), await aborted.queue.next()]).toEqual([undefined, { done: true, value: undefined }]);
  });

  it('that takes no utterances loses those that find no place', () => {
    const { queue, frames, edge } = rig({ capacity: 1 });
    for (let n = 0; n < 3; n++) {
      frames(200, 1);
      edge(false, n * 1000);
      frames(800, 0);
      edge(true, n * 1000 + 200);
    }
    expect([queue.length, queue.droppedFrames]).toEqual([1, 2]);
  });

  it.each([0, 99, 600_001, Number.NaN])('refuses a buffer of %d ms', (bufferMs) => {
    expect(() => rig({ bufferMs })).toThrow(RangeError);
  });
});
