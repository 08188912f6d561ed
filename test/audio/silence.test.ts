import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameEnergy, measureFrame } from '../../src/audio/frame-energy.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import {
  cutFrame,
  endSpeechByGap,
  feedHops,
  initSilence,
  isFrameSilent,
  SILENCE_EDGE_SLOTS,
  SILENCE_STATE,
  SILENCE_STATE_SLOTS,
  type SilenceOptions,
  skipSilence,
} from '../../src/audio/silence.js';
import { SAMPLE_RATES } from '../../src/core/codec.js';
import { hasSpeechFile, noise, speechFile, speechWithPauses, stretches } from '../support/speech.js';

interface Edge {
  readonly position: number;
  readonly silent: boolean;
}

const BASE = 3;

class Channel {
  readonly state = new Float64Array(BASE + SILENCE_STATE_SLOTS + 3).fill(77);
  readonly edges: Edge[] = [];
  readonly #found = new Float64Array(SILENCE_EDGE_SLOTS);
  readonly #energy = new FrameEnergy();
  position = 0;

  constructor(options: SilenceOptions) {
    initSilence(this.state, BASE, options);
  }

  /** True when the frame was silent. */
  feed(pcm: Int16Array, at = 0, count = pcm.length): boolean {
    const sound = SampleMemory.copyOf(pcm.subarray(at, at + count));
    const isEdge = cutFrame(this.state, BASE, this.position, this.#energy);
    if (isEdge) this.#found.set([this.state[BASE + SILENCE_STATE.SINCE] as number, 1]);
    measureFrame(sound, 0, count, this.#energy);
    const found = feedHops(this.state, BASE, this.#energy, count, this.#found, isEdge ? 1 : 0);
    for (let i = 0; i < found; i++) {
      this.edges.push({ position: this.#found[2 * i] as number, silent: this.#found[2 * i + 1] === 1 });
    }
    this.position += count;
    return isFrameSilent(this.state, BASE);
  }

  /** Cuts into frames of the sizes given, over and over. */
  feedInFrames(pcm: Int16Array, sizes: readonly number[]): boolean[] {
    const silent: boolean[] = [];
    for (let at = 0; at < pcm.length; ) {
      const count = Math.min(sizes[silent.length % sizes.length] as number, pcm.length - at);
      silent.push(this.feed(pcm, at, count));
      at += count;
    }
    return silent;
  }

  skip(samples: number): void {
    this.position += samples;
    skipSilence(this.state, BASE, this.position);
  }

  get slotsAround(): number[] {
    return [...this.state.subarray(0, BASE), ...this.state.subarray(BASE + SILENCE_STATE_SLOTS)];
  }
}

function edgesMs(pcm: Int16Array, options: SilenceOptions): [number, boolean][] {
  const channel = new Channel(options);
  channel.feedInFrames(pcm, [options.sampleRate / 50]);
  return channel.edges.map(({ position, silent }) => [(position * 1000) / options.sampleRate, silent]);
}

describe('silence detection', () => {
  it.each(SAMPLE_RATES)('dates both edges to where they happened, %i Hz', (sampleRate) => {
    const pcm = stretches(sampleRate, [0.001, 1000], [0.1, 800], [0.001, 1200], [0.1, 700], [0.001, 600]);
    expect(edgesMs(pcm, { sampleRate })).toEqual([
      [1000, false],
      // The window of 20 ms must slide off the speech first.
      [1815, true],
      [3000, false],
      [3715, true],
    ]);
  });

  it('compares the RMS, not the mean magnitude, with the threshold', () => {
    // One sample in 40 at 0.0759 of full scale: RMS 0.012, mean magnitude 0.0019.
    const pulses = Int16Array.from({ length: 8000 }, (_, i) => (i % 40 === 0 ? Math.round(0.0759 * 32768) : 0));
    expect(edgesMs(pulses, { sampleRate: 8000 })).toEqual([[0, false]]);
    expect(edgesMs(pulses, { sampleRate: 8000, threshold: 0.0121 })).toEqual([]);
  });

  it('keeps short pauses with the speech around them', () => {
    const pcm = stretches(8000, [0, 500], [0.1, 500], [0, 450], [0.1, 500], [0, 600], [0.1, 100]);
    expect(edgesMs(pcm, { sampleRate: 8000 })).toEqual([
      [500, false],
      [1965, true],
      [2550, false],
    ]);
  });

  it('keeps the soft end of speech, but does not begin with as soft a sound', () => {
    const pcm = stretches(8000, [0.007, 1000], [0.05, 500], [0.007, 1000], [0.002, 1000]);
    expect(edgesMs(pcm, { sampleRate: 8000 })).toEqual([
      [1000, false],
      [2505, true],
    ]);
  });

  it('takes no click for speech when told so', () => {
    const pcm = stretches(8000, [0, 500], [0.5, 10], [0, 1000], [0.1, 300], [0, 1000]);
    expect(edgesMs(pcm, { sampleRate: 8000 }).length).toBe(4);
    expect(edgesMs(pcm, { sampleRate: 8000, minSpeechMs: 50 })).toEqual([
      [1510, false],
      [1825, true],
    ]);
  });

  it('finds the same edges in any frames', () => {
    const pcm = hasSpeechFile
      ? speechFile()
      : stretches(8000, [0.001, 700], [0.1, 900], [0.004, 800], [0.02, 300], [0, 900]);
    const whole = new Channel({ sampleRate: 8000 });
    whole.feedInFrames(pcm, [16_000]);
    expect(whole.edges.length).toBeGreaterThan(2);
    for (const ms of [2.5, 10, 20, 30, 40, 60, 120, 200]) {
      const cut = new Channel({ sampleRate: 8000 });
      cut.feedInFrames(pcm, [ms * 8]);
      expect(cut.edges, `${ms} ms`).toEqual(whole.edges);
    }
  });

  it('finds the same edges in any frames, of any sound and settings', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(0, 0.003, 0.008, 0.012, 0.1), fc.integer({ min: 1, max: 200 })), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 }),
        fc.constantFrom<Partial<SilenceOptions>>(
          {},
          { windowMs: 5, minSilenceMs: 50 },
          { windowMs: 200, minSilenceMs: 200 },
          { minSpeechMs: 30 },
        ),
        (parts, sizes, settings) => {
          const pcm = stretches(8000, ...parts);
          const whole = new Channel({ sampleRate: 8000, ...settings });
          const cut = new Channel({ sampleRate: 8000, ...settings });
          whole.feed(pcm);
          cut.feedInFrames(pcm, sizes);
          expect(cut.edges).toEqual(whole.edges);
          const positions = cut.edges.map(({ position }) => position);
          expect(positions).toEqual([...positions].sort((a, b) => a - b));
          expect(cut.edges.map(({ silent }) => silent)).toEqual(cut.edges.map((_, i) => i % 2 === 1));
          expect(cut.slotsAround).toEqual(Array(6).fill(77));
        },
      ),
    );
  });

  it('calls a frame silent only when no part of it is speech', () => {
    const pcm = stretches(8000, [0.001, 500], [0.1, 500], [0.001, 1500]);
    for (const ms of [20, 30, 60, 200]) {
      const channel = new Channel({ sampleRate: 8000 });
      const silent = channel.feedInFrames(pcm, [ms * 8]);
      silent.forEach((isSilent, i) => {
        const from = i * ms;
        const to = Math.min(from + ms, 2500);
        if (isSilent) expect(to <= 500 || from >= 1000, `${ms} ms, frame at ${from} ms`).toBe(true);
        // What follows speech is only known for silence after half a second, and no later.
        else expect(to > 500 && from < 1000 + 15 + 500, `${ms} ms, frame at ${from} ms`).toBe(true);
      });
      expect(new Set(silent).size).toBe(2);
    }
  });

  it('calls a frame that both begins and ends speech no silence', () => {
    const channel = new Channel({ sampleRate: 8000, windowMs: 5, minSilenceMs: 50 });
    expect(channel.feed(stretches(8000, [0, 50], [0.1, 50], [0, 100]))).toBe(false);
    expect(channel.edges).toEqual([
      { position: 400, silent: false },
      { position: 800, silent: true },
    ]);
    expect(channel.feed(new Int16Array(1600))).toBe(true);
  });

  describe('gaps in the time line', () => {
    const loud = new Int16Array(1600).fill(9_000);
    const afterGap = (samples: number): Channel => {
      const channel = new Channel({ sampleRate: 8000 });
      channel.feed(loud);
      channel.position += samples;
      channel.feed(loud);
      return channel;
    };

    it('end speech where the audio ended, if they are as long as the shortest silence', () => {
      expect(afterGap(4000).edges).toEqual([
        { position: 0, silent: false },
        { position: 1600, silent: true },
        { position: 5600, silent: false },
      ]);
      expect(afterGap(3999).edges).toEqual([{ position: 0, silent: false }]);
    });

    it('end speech where it was quiet already', () => {
      const channel = new Channel({ sampleRate: 8000 });
      channel.feed(loud);
      channel.feed(new Int16Array(800));
      channel.position += 4000;
      channel.feed(loud);
      expect(channel.edges[1]?.silent).toBe(true);
      expect(channel.edges[1]?.position).toBeGreaterThanOrEqual(1600);
      expect(channel.edges[1]?.position).toBeLessThanOrEqual(1800);
    });

    it('end speech while they last, and only once', () => {
      const channel = new Channel({ sampleRate: 8000 });
      expect(endSpeechByGap(channel.state, BASE, 80_000)).toBe(false);
      channel.feed(loud);
      expect(endSpeechByGap(channel.state, BASE, 5599)).toBe(false);
      expect(endSpeechByGap(channel.state, BASE, 5600)).toBe(true);
      expect(endSpeechByGap(channel.state, BASE, 9000)).toBe(false);
      expect(channel.state[BASE + SILENCE_STATE.SINCE]).toBe(1600);
      // The network had only delayed what follows.
      channel.feed(loud);
      expect(channel.edges.at(-1)).toEqual({ position: 1600, silent: false });
    });
  });

  describe('short gaps', () => {
    const quiet = (ms: number) => new Int16Array(ms * 8);
    const loud = (ms: number) => noise(0.1, ms * 8);

    it('leave the state as it is', () => {
      const channel = new Channel({ sampleRate: 8000 });
      channel.feed(loud(100));
      channel.skip(80_000);
      expect(isFrameSilent(channel.state, BASE)).toBe(false);
      expect(channel.feed(loud(100))).toBe(false);
      channel.feed(quiet(1000));
      channel.skip(80_000);
      expect(isFrameSilent(channel.state, BASE)).toBe(true);
      expect(channel.feed(quiet(20))).toBe(true);
      expect(channel.edges).toEqual([
        { position: 0, silent: false },
        { position: 800 + 80_000 + 800 + 120, silent: true },
      ]);
    });

    it('begin a new hop and a new window', () => {
      const channel = new Channel({ sampleRate: 8000 });
      channel.feed(quiet(500));
      // Not enough for the threshold on either side of the gap, if it were not put together.
      for (let i = 0; i < 20; i++) {
        channel.feed(noise(0.012, 39));
        channel.skip(1);
      }
      expect(channel.edges).toEqual([]);
      channel.skip(7);
      channel.feed(loud(100));
      expect(channel.edges).toEqual([{ position: 4000 + 20 * 40 + 7, silent: false }]);
    });

    it('that are short do not hold up the end of speech', () => {
      const channel = new Channel({ sampleRate: 8000 });
      channel.feed(loud(100));
      for (let i = 0; i < 3; i++) {
        channel.feed(quiet(100));
        channel.skip(80 * 8);
      }
      channel.feed(quiet(100));
      expect(channel.edges).toEqual([
        { position: 0, silent: false },
        { position: 800 + 120, silent: true },
      ]);
    });

    it('that are long restart the quiet time, even when reported a part at a time', () => {
      const channel = new Channel({ sampleRate: 8000 });
      channel.feed(loud(100));
      channel.feed(quiet(400));
      for (let i = 0; i < 50; i++) channel.skip(160);
      const resumed = channel.position;
      channel.feed(quiet(480));
      expect(channel.edges.length).toBe(1);
      channel.feed(quiet(100));
      expect(channel.edges[1]).toEqual({ position: resumed, silent: true });
    });

    it('may lead back, when the time line starts again', () => {
      const channel = new Channel({ sampleRate: 8000 });
      channel.feed(quiet(5000));
      channel.position = 100;
      expect(channel.feed(quiet(20))).toBe(true);
      channel.feed(loud(20));
      channel.position = 40;
      channel.feed(quiet(600));
      expect(channel.edges).toEqual([
        { position: 260, silent: false },
        { position: 40, silent: true },
      ]);
    });
  });

  it.each<[string, Partial<SilenceOptions>]>([
    ['threshold', { threshold: 0 }],
    ['threshold', { threshold: 1.5 }],
    ['threshold', { threshold: Number.NaN }],
    ['window', { windowMs: 12 }],
    ['window', { windowMs: 205 }],
    ['shortest silence', { minSilenceMs: 40 }],
    ['shortest silence', { windowMs: 100, minSilenceMs: 90 }],
    ['shortest speech', { minSpeechMs: -1 }],
  ])('refuses a %s that makes no sense (%o)', (what, settings) => {
    expect(() => new Channel({ sampleRate: 8000, ...settings })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(what) }),
    );
  });
});

describe('speech with pauses', () => {
  const RECORDED = [3710, 2210, 1780, 1050, 5290, 3180];
  const MADE = [1200, 2210, 1050, 3180, 1780];

  it('has the silences that it was made with, each within 50 ms', () => {
    expectSilences(speechWithPauses(MADE), MADE);
  });

  it.skipIf(!hasSpeechFile)(
    'has the silences that another detector finds in a recording (needs ../shared/corpora)',
    () => {
      expectSilences(speechFile(), RECORDED);
    },
  );

  function expectSilences(pcm: Int16Array, expected: readonly number[]): void {
    const edges = edgesMs(pcm, { sampleRate: 8000 });
    const begins = [0, ...edges.filter(([, silent]) => silent).map(([ms]) => ms)];
    const ends = [...edges.filter(([, silent]) => !silent).map(([ms]) => ms), pcm.length / 8];
    const long = begins.map((begin, i) => (ends[i] as number) - begin).filter((ms) => ms >= 1000);
    expect(long.length).toBe(expected.length);
    long.forEach((ms, i) => {
      expect(Math.abs(ms - (expected[i] as number)), `silence ${i} of ${ms} ms`).toBeLessThanOrEqual(50);
    });
  }
});
