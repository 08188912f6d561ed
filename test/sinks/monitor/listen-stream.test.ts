import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/limits.js';
import { ListenStream } from '../../../src/sinks/monitor/listen-stream.js';
import { frameView, streamInfo } from '../../support/frames.js';

const ramp = (from: number, count: number, sign = 1) =>
  Int16Array.from({ length: count }, (_, i) => sign * (from + i + 1));

function samplesOf(stream: ListenStream): Int16Array {
  const bytes: Buffer = stream.read() ?? Buffer.alloc(0);
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

describe('one channel', () => {
  it('has every frame from the first on, with zeros for gaps and for silence that was not passed on', () => {
    const info = streamInfo();
    const stream = new ListenStream(info);
    stream.frame(frameView({ info, positionSamples: 8000, pcm: ramp(0, 160) }));
    stream.frame(frameView({ info, positionSamples: 8160, sampleCount: 160, isSilent: true }));
    stream.frame(frameView({ info, positionSamples: 8480, pcm: ramp(500, 160) }));
    expect(samplesOf(stream)).toEqual(Int16Array.of(...ramp(0, 160), ...new Int16Array(320), ...ramp(500, 160)));
  });

  it('skips a gap longer than the limit', () => {
    const info = streamInfo();
    const stream = new ListenStream(info);
    stream.frame(frameView({ info, pcm: ramp(0, 160) }));
    stream.frame(frameView({ info, positionSamples: 161 + 8000 * LIMITS.maxGapSeconds, pcm: ramp(160, 160) }));
    expect(samplesOf(stream)).toEqual(ramp(0, 320));
  });

  it('ends with its stream and takes no other', async () => {
    const info = streamInfo();
    const stream = new ListenStream(info);
    const other = streamInfo({ interactionId: 'other' });
    expect([stream.pcmSelection(info), stream.pcmSelection(other)]).toEqual(['all', 'none']);
    stream.frame(frameView({ info: other, pcm: ramp(0, 160) }));
    stream.streamEnded(other);
    stream.frame(frameView({ info, pcm: ramp(0, 160) }));
    stream.streamEnded(info);
    stream.frame(frameView({ info, pcm: ramp(0, 160) }));
    const chunks = await stream.toArray();
    expect(Buffer.concat(chunks).length).toBe(320);
    expect(stream.pcmSelection(info)).toBe('none');
  });

  it('a slow listener loses whole frames, counted, within the bound', () => {
    const info = streamInfo();
    const stream = new ListenStream(info, { bufferBytes: 1000 });
    for (let n = 0; n < 10; n++) stream.frame(frameView({ info, positionSamples: n * 160, pcm: ramp(n * 160, 160) }));
    expect([stream.readableLength, stream.droppedFrames]).toEqual([960, 7]);
    expect(samplesOf(stream)).toEqual(ramp(0, 480));
    stream.frame(frameView({ info, positionSamples: 1600, pcm: ramp(1600, 160) }));
    expect(samplesOf(stream)).toEqual(ramp(1600, 160));
  });
});

describe('two channels', () => {
  const info = streamInfo({ channels: 2 });

  it('are interleaved by position, however their frames are cut and follow each other', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 });
    const property = fc.property(cuts, cuts, fc.infiniteStream(fc.boolean()), (left, right, turns) => {
      const stream = new ListenStream(info);
      const at = [0, 0];
      const queues = [[...left], [...right]];
      while ((queues[0]?.length ?? 0) + (queues[1]?.length ?? 0) > 0) {
        let channel = turns.next().value === true ? 1 : 0;
        // Within what jitter buffers may differ by, or when the other has no more.
        const ahead = (at[channel] ?? 0) - (at[1 - channel] ?? 0);
        if (queues[channel]?.length === 0 || (ahead > 800 && queues[1 - channel]?.length !== 0)) channel = 1 - channel;
        const count = queues[channel]?.shift() ?? 0;
        const position = at[channel] ?? 0;
        const pcm = ramp(position, count, channel === 0 ? 1 : -1);
        stream.frame(frameView({ info, channel: channel === 0 ? 0 : 1, positionSamples: position, pcm }));
        at[channel] = position + count;
      }
      stream.streamEnded(info);
      const samples = samplesOf(stream);
      const length = Math.max(...at);
      const expected = Int16Array.from({ length: 2 * length }, (_, i) => {
        const position = i >> 1;
        if (position >= (at[i & 1] ?? 0)) return 0;
        return (i & 1 ? -1 : 1) * (position + 1);
      });
      expect(samples).toEqual(expected);
    });
    fc.assert(property, { numRuns: 200 });
  });

  it('go on when one of them brings nothing', () => {
    const stream = new ListenStream(info);
    for (let n = 0; n < 50; n++) {
      const frame = { positionSamples: n * 160, pcm: ramp(n * 160, 160), arrivalUs: n * 20_000 };
      stream.frame(frameView({ info, channel: 1, ...frame }));
    }
    const samples = samplesOf(stream);
    expect(samples.length).toBe(2 * (8000 - 1600));
    expect(samples.filter((_, i) => i % 2 === 1)).toEqual(ramp(0, 6400));
    expect(samples.filter((_, i) => i % 2 === 0)).toEqual(new Int16Array(6400));
  });

  it.each([0.3, 1, 1.9])('a backlog of %f s is played with both sides together, though one comes first', (seconds) => {
    const stream = new ListenStream(info);
    const frames = Math.round(seconds * 50);
    for (const channel of [0, 1] as const) {
      for (let n = 0; n < frames; n++) {
        const pcm = ramp(n * 160, 160, channel === 0 ? 1 : -1);
        stream.frame(frameView({ info, channel, positionSamples: n * 160, pcm, arrivalUs: 5_000_000 + n * 100 }));
      }
    }
    const length = frames * 160;
    expect(samplesOf(stream)).toEqual(
      Int16Array.from({ length: 2 * length }, (_, i) => ((i >> 1) + 1) * (i & 1 ? -1 : 1)),
    );
  });

  it('of a longer backlog the first part is put out as it comes, and the last two seconds together', () => {
    const stream = new ListenStream(info, { bufferBytes: 1 << 22 });
    for (const channel of [0, 1] as const) {
      for (let n = 0; n < 150; n++) {
        const pcm = ramp(n * 160, 160, channel === 0 ? 1 : -1);
        stream.frame(frameView({ info, channel, positionSamples: n * 160, pcm, arrivalUs: 5_000_000 }));
      }
    }
    const samples = samplesOf(stream);
    expect(samples.length).toBe(2 * 24_000);
    const together = samples.findIndex((sample, i) => i % 2 === 1 && sample !== 0) >> 1;
    expect(together).toBeLessThanOrEqual(24_000 - 16_000 + 1_600);
    const isRight = (sample: number, i: number) => sample === (together + (i >> 1) + 1) * (i & 1 ? -1 : 1);
    expect(samples.subarray(2 * together).every(isRight)).toBe(true);
  });

  it('what comes too late for one of them is left out', () => {
    const stream = new ListenStream(info);
    stream.frame(frameView({ info, channel: 0, positionSamples: 0, pcm: ramp(0, 1600), arrivalUs: 0 }));
    stream.frame(frameView({ info, channel: 0, positionSamples: 1600, pcm: ramp(1600, 1600), arrivalUs: 200_000 }));
    stream.frame(frameView({ info, channel: 1, positionSamples: 0, pcm: ramp(0, 3200), arrivalUs: 201_000 }));
    const samples = samplesOf(stream);
    const right = samples.filter((_, i) => i % 2 === 1);
    expect(samples.length).toBe(6400);
    expect(right.subarray(0, 1600)).toEqual(new Int16Array(1600));
    expect(right.subarray(1600)).toEqual(ramp(1600, 1600));
  });
});
