import { describe, expect, it } from 'vitest';
import { encodePcmu } from '../../src/audio/codecs/g711.js';
import { CODEC_ID } from '../../src/core/codec.js';
import { FLAG, KIND } from '../../src/ring/layout.js';
import { ShardRig } from '../support/engine/shard-rig.js';
import { stretches } from '../support/speech.js';

const FRAME = 160;
const MS = 8;

/** What each 20 ms have: noise of a line, the same sample throughout, or no packet. */
type Sound = 'noise' | 'digital' | 'none';

/** Edges of a silent channel as [position in ms, kind]. */
function kindsOf(parts: readonly (readonly [sound: Sound, ms: number])[], codec: 0 | 3 = CODEC_ID.PCMU, flags = 0) {
  const rig = new ShardRig('js', { streams: 1, outputRingBytes: 1 << 22, inputRingBytes: 1 << 22 });
  const ticks = codec === CODEC_ID.OPUS ? 6 : 1;
  rig.open(0, codec === CODEC_ID.OPUS ? { codec, sampleRate: 8000, clockRate: 48_000 } : { codec, sampleRate: 8000 });
  let position = 0;
  let sequence = 0;
  for (const [sound, ms] of parts) {
    for (let at = 0; at < ms; at += 20, position += FRAME) {
      const pcm = sound === 'noise' ? stretches(8000, [0.0008, 20]) : new Int16Array(FRAME).fill(8);
      if (sound !== 'none') rig.packet(0, sequence++, position * ticks, encodePcmu(pcm), 0, flags);
    }
  }
  const edges = rig.drain().filter(({ kind }) => kind === KIND.EDGE);
  rig.end();
  return edges.filter((edge) => (edge.flags & FLAG.SILENT) !== 0).map((edge) => [edge.position / MS, edge.fields?.[1]]);
}

describe('kinds of silence', () => {
  it('finds digital silence of 1 s, from its beginning to its end', () => {
    expect(
      kindsOf([
        ['noise', 600],
        ['digital', 1000],
        ['noise', 400],
      ]),
    ).toEqual([
      [600, 1],
      [1600, 0],
    ]);
  });

  it('passes over digital silence that is shorter', () => {
    expect(
      kindsOf([
        ['noise', 600],
        ['digital', 980],
        ['noise', 400],
      ]),
    ).toEqual([]);
  });

  it('takes a time line that goes on without packets for comfort noise, and the packets that describe it too', () => {
    const pause = [
      ['none', 400],
      ['noise', 20],
    ] as const;
    expect(kindsOf([['noise', 600], ...pause, ...pause, ...pause, ['noise', 400]])).toEqual([
      [600, 2],
      [1840, 0],
    ]);
  });

  it('does not know what a gap was that the time line was broken in', () => {
    expect(
      kindsOf(
        [
          ['noise', 600],
          ['none', 1500],
          ['noise', 400],
        ],
        CODEC_ID.PCMU,
        FLAG.DISCONTINUITY,
      ),
    ).toEqual([]);
  });

  it('goes from digital silence to comfort noise and back', () => {
    expect(
      kindsOf([
        ['digital', 1200],
        ['none', 1500],
        ['digital', 1200],
        ['noise', 400],
      ]),
    ).toEqual([
      ...[
        [0, 1],
        [1200, 0],
        [1200, 2],
        [2700, 0],
        // Up to 100 ms might still be a description of the noise.
        [2800, 1],
        [3900, 0],
      ],
    ]);
  });
});
