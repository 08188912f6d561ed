import { describe, expect, it } from 'vitest';
import { type SpeechChunkOptions, SpeechChunks } from '../../../src/core/media/speech-chunks.js';
import { frameView, streamInfo } from '../../support/frames.js';

const info = streamInfo({ channels: 2 });

function rig(options: SpeechChunkOptions = {}) {
  const given: [number, string][] = [];
  const speech = new SpeechChunks(options, ({ sequenceNumber, isSilent }, roll) => {
    given.push([sequenceNumber, roll ?? (isSilent ? 'silent' : 'speech')]);
  });
  /** Frame number k of 20 ms. The shard has left the samples out of those that nobody wants. */
  const view = (k: number, isSilent: boolean, channel: 0 | 1, hasPcm: boolean, of = info) =>
    frameView({
      ...{ info: of, channel, isSilent, sequenceNumber: k, positionSamples: k * 160 },
      ...(hasPcm ? { pcm: new Int16Array(160) } : {}),
    });
  const frame = (
    k: number,
    isSilent: boolean,
    { channel = 0, hasPcm = true }: { channel?: 0 | 1; hasPcm?: boolean } = {},
  ) => speech.take(view(k, isSilent, channel, hasPcm));
  const preRoll = (k: number, speechFrame: number) => speech.takePreRoll(view(k, true, 0, true), speechFrame * 160);
  return { speech, frame, preRoll, given, view };
}

describe('SpeechChunks', () => {
  it('gives speech, and of what the shard has kept before it no more than the pre-roll', () => {
    const { speech, frame, preRoll, given } = rig({ preRollMs: 50 });
    expect(speech.selection).toBe('speech');
    expect(speech.roll).toEqual({ preRollMs: 50, postRollMs: 0 });
    for (let k = 0; k < 10; k++) frame(k, true, { hasPcm: false });
    for (let k = 0; k < 10; k++) preRoll(k, 10);
    frame(10, false);
    // A frame belongs to the pre-roll when a part of it does.
    expect(given).toEqual([
      [7, 'pre'],
      [8, 'pre'],
      [9, 'pre'],
      [10, 'speech'],
    ]);
  });

  it('has a pre-roll of 200 ms unless told otherwise', () => {
    expect(rig().speech.roll).toEqual({ preRollMs: 200, postRollMs: 0 });
    expect(rig({ preRollMs: 0 }).speech.roll).toEqual({ preRollMs: 0, postRollMs: 0 });
  });

  it('gives silence after speech for the post-roll, and none of it again as pre-roll', () => {
    const { frame, preRoll, given } = rig({ preRollMs: 60, postRollMs: 40 });
    frame(0, false);
    for (const k of [1, 2, 3]) frame(k, true);
    for (const k of [1, 2, 3]) preRoll(k, 4);
    frame(4, false);
    expect(given).toEqual([
      [0, 'speech'],
      [1, 'post'],
      [2, 'post'],
      [3, 'pre'],
      [4, 'speech'],
    ]);
  });

  it('gives no silence whose samples others have asked for', () => {
    const { frame, given } = rig({ preRollMs: 100 });
    frame(0, false);
    frame(1, true, { hasPcm: true });
    expect(given).toEqual([[0, 'speech']]);
  });

  it('keeps channels apart, and forgets a stream that has ended', () => {
    const { speech, frame, given, view } = rig({ preRollMs: 0, postRollMs: 100 });
    frame(0, false, { channel: 1 });
    frame(1, true, { channel: 0 });
    frame(1, true, { channel: 1 });
    speech.streamEnded(info);
    speech.take(view(2, true, 1, true, streamInfo({ channels: 2 })));
    expect(given).toEqual([
      [0, 'speech'],
      [1, 'post'],
    ]);
  });

  it('gives all frames with includeSilent, and none twice', () => {
    const { speech, frame, given } = rig({ includeSilent: true, preRollMs: 100, postRollMs: 100 });
    expect(speech.selection).toBe('all');
    expect(speech.roll).toEqual({ preRollMs: 0, postRollMs: 0 });
    for (const [k, isSilent] of [true, false, true, true].entries()) frame(k, isSilent);
    expect(given.map(([, kind]) => kind)).toEqual(['silent', 'speech', 'silent', 'silent']);
  });

  it('refuses a roll out of range', () => {
    expect(() => rig({ preRollMs: -1 })).toThrow(RangeError);
    expect(() => rig({ postRollMs: 2_001 })).toThrow(
      'postRollMs is a number of milliseconds from 0 to 2000; it is 2001.',
    );
  });
});
