import { describe, expect, it } from 'vitest';
import type { MediaChunk } from '../../../src/core/media/media-chunk.js';
import { type SpeechChunkOptions, SpeechChunks } from '../../../src/core/media/speech-chunks.js';
import { frameView, streamInfo } from '../../support/frames.js';
import { below, mulberry32 } from '../../support/random.js';

const info = streamInfo({ channels: 2 });

function rig(options: SpeechChunkOptions = {}) {
  const chunks: MediaChunk[] = [];
  const speech = new SpeechChunks(options, (chunk) => chunks.push(chunk));
  /** Frame number k of 20 ms, whose samples all are k. */
  const frame = (k: number, isSilent: boolean, channel: 0 | 1 = 0, samples = 160) =>
    speech.take(
      frameView({
        info,
        channel,
        isSilent,
        sequenceNumber: k,
        timestamp: k * samples,
        positionSamples: k * samples,
        pcm: new Int16Array(samples).fill(k),
      }),
    );
  const seen = () =>
    chunks.map(({ metadata, roll, isSilent }) => [metadata.sequenceNumber, roll ?? (isSilent ? 'silent' : 'speech')]);
  return { speech, frame, chunks, seen };
}

describe('SpeechChunks', () => {
  it('gives the silent frames of 200 ms before speech, in order, flagged, with their own samples', () => {
    const { speech, frame, chunks, seen } = rig();
    for (let k = 0; k < 40; k++) frame(k, k !== 30);
    expect(seen()).toEqual([...Array.from({ length: 10 }, (_, i) => [20 + i, 'pre']), [30, 'speech']]);
    for (const { payload, metadata, isSilent } of chunks) {
      expect(payload).toEqual(Buffer.from(new Int16Array(160).fill(metadata.sequenceNumber).buffer));
      expect(metadata).toMatchObject({ positionSamples: metadata.sequenceNumber * 160, sampleRate: 8000, channel: 0 });
      expect(isSilent).toBe(metadata.sequenceNumber !== 30);
    }
    expect(speech.selection).toBe('all');
  });

  it('gives silence after speech for the post-roll, and none of it again as pre-roll', () => {
    const { frame, seen } = rig({ preRollMs: 60, postRollMs: 40 });
    for (const [k, isSilent] of [false, true, true, true, false, true, true, true, true, true, true, false].entries()) {
      frame(k, isSilent);
    }
    expect(seen()).toEqual([
      [0, 'speech'],
      [1, 'post'],
      [2, 'post'],
      [3, 'pre'],
      [4, 'speech'],
      [5, 'post'],
      [6, 'post'],
      [8, 'pre'],
      [9, 'pre'],
      [10, 'pre'],
      [11, 'speech'],
    ]);
  });

  it('keeps channels apart, and forgets a stream that has ended and one that was before at the same index', () => {
    const { speech, frame, seen } = rig();
    frame(0, true, 0);
    frame(1, true, 1);
    frame(2, false, 1);
    expect(seen()).toEqual([
      [1, 'pre'],
      [2, 'speech'],
    ]);
    speech.streamEnded(info);
    frame(3, false, 0);
    frame(4, true, 0);
    const next = streamInfo({ channels: 2 });
    speech.take(frameView({ info: next, sequenceNumber: 5, positionSamples: 800, pcm: new Int16Array(160) }));
    expect(seen().slice(2)).toEqual([
      [3, 'speech'],
      [5, 'speech'],
    ]);
  });

  it('does not give what lies further back on the time line, such as before a pause', () => {
    const { frame, seen } = rig();
    frame(0, true);
    frame(1, true);
    frame(200, true);
    frame(201, false);
    expect(seen()).toEqual([
      [200, 'pre'],
      [201, 'speech'],
    ]);
  });

  it('asks for speech alone without a roll, and gives all frames with includeSilent', () => {
    expect(rig({ preRollMs: 0 }).speech.selection).toBe('speech');
    const all = rig({ includeSilent: true, preRollMs: 100, postRollMs: 100 });
    for (const [k, isSilent] of [true, false, true, true].entries()) all.frame(k, isSilent);
    expect(all.seen()).toEqual([
      [0, 'silent'],
      [1, 'speech'],
      [2, 'silent'],
      [3, 'silent'],
    ]);
  });

  it('refuses a roll out of range', () => {
    expect(() => rig({ preRollMs: -1 })).toThrow(RangeError);
    expect(() => rig({ postRollMs: 2_001 })).toThrow(
      'postRollMs is a number of milliseconds from 0 to 2000; it is 2001.',
    );
  });

  it('gives with frames of any length what a list of all silent frames would', () => {
    const random = mulberry32(7);
    for (let round = 0; round < 100; round++) {
      const chunks: MediaChunk[] = [];
      const speech = new SpeechChunks({ preRollMs: 100 }, (chunk) => chunks.push(chunk));
      const expected: number[] = [];
      let silent: { k: number; start: number; end: number }[] = [];
      let position = 0;
      for (let k = 0; k < 120; k++) {
        const samples = 40 + below(random, 900);
        const isSilent = random() < 0.9;
        speech.take(
          frameView({
            info,
            isSilent,
            sequenceNumber: k,
            positionSamples: position,
            pcm: new Int16Array(samples).fill(k),
          }),
        );
        if (isSilent) silent.push({ k, start: position, end: position + samples });
        else {
          expected.push(...silent.filter(({ end }) => end > position - 800).map((one) => one.k), k);
          silent = [];
        }
        position += samples;
      }
      expect(chunks.map(({ metadata }) => metadata.sequenceNumber)).toEqual(expected);
      for (const { payload, metadata } of chunks) {
        const samples = new Int16Array(payload.buffer, payload.byteOffset, payload.length / 2);
        expect(samples.every((sample) => sample === metadata.sequenceNumber)).toBe(true);
      }
    }
  });
});
