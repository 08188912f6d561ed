import { describe, expect, it } from 'vitest';
import { feedAdaptive, initAdaptive, skipAdaptive } from '../../../src/audio/adaptive/detector.js';
import { ADAPTIVE_STATE, ADAPTIVE_STATE_SLOTS } from '../../../src/audio/adaptive/state.js';
import { SampleMemory } from '../../../src/audio/sample-memory.js';
import { below, mulberry32 } from '../../support/random.js';
import { hasSpeechFile, noise, speechFile, speechWithPauses } from '../../support/speech.js';

type Edge = readonly [position: number, silent: number];

/** What the detector says of `pcm`, taken in frames of the lengths that `lengthOf` gives. */
function detect(pcm: Int16Array, sampleRate = 8000, lengthOf: () => number = () => sampleRate / 50) {
  const state = new Float64Array(ADAPTIVE_STATE_SLOTS);
  const found = new Float64Array(256);
  const edges: Edge[] = [];
  initAdaptive(state, 0, sampleRate);
  skipAdaptive(state, 0, 0);
  const memory = SampleMemory.copyOf(pcm);
  let live = 0;
  for (let at = 0; at < pcm.length; ) {
    const count = Math.min(lengthOf(), pcm.length - at);
    const edgeCount = feedAdaptive(state, 0, memory, at, count, at, found, 0);
    for (let i = 0; i < edgeCount; i++) edges.push([found[2 * i] as number, found[2 * i + 1] as number]);
    if (state[ADAPTIVE_STATE.FRAME_SILENT] === 0) live += count;
    at += count;
  }
  return { edges, live, state };
}

function scaled(pcm: Int16Array, factor: number, offset = 0): Int16Array {
  return pcm.map((sample) => Math.max(-32768, Math.min(32767, Math.round(sample * factor + offset))));
}

/** Silences of 700 ms and more between the first speech and the last, in milliseconds. */
function pauses(edges: readonly Edge[]): number[] {
  const lengths: number[] = [];
  edges.forEach(([position, silent], i) => {
    const next = edges[i + 1];
    if (silent === 1 && next !== undefined) lengths.push((next[0] - position) / 8);
  });
  return lengths;
}

const PAUSES_MS = [900, 1500, 2000, 1200, 1000];
const SPEECH = speechWithPauses(PAUSES_MS);

describe('the adaptive detector', () => {
  it.each([1, 0.3, 0.1, 0.05])('finds the pauses between words, whatever the level: %f', (factor) => {
    const found = pauses(detect(scaled(SPEECH, factor)).edges).filter((ms) => ms >= 800);
    expect(found).toHaveLength(3);
    for (const [i, ms] of found.entries()) expect(Math.abs(ms - (PAUSES_MS[i + 1] as number))).toBeLessThan(160);
  });

  it('does not take a DC offset for speech, nor noise, nor their beginning in the middle of a call', () => {
    expect(detect(new Int16Array(40_000).fill(917)).edges).toEqual([]);
    const withOffset = detect(scaled(SPEECH, 0.5, 917));
    expect(pauses(withOffset.edges).filter((ms) => ms >= 800)).toHaveLength(3);
    const steady = detect(noise(0.02, 80_000));
    expect(steady.live / 80_000).toBeLessThan(0.2);
    expect(steady.edges.at(-1)?.[1] ?? 1).toBe(1);
  });

  it('finds speech in noise 15 dB below it', () => {
    const quiet = noise(0.01, SPEECH.length);
    const noisy = SPEECH.map((sample, i) => sample + (quiet[i] as number));
    expect(pauses(detect(noisy).edges).filter((ms) => ms >= 700)).toHaveLength(3);
  });

  it('begins with speech when the call does', () => {
    const first = SPEECH.subarray((PAUSES_MS[0] as number) * 8);
    expect(detect(first).edges[0]?.[0]).toBeLessThanOrEqual(800);
  });

  it.each([8000, 12_000, 16_000, 24_000, 48_000])('decides alike at %i Hz, however the sound is cut', (sampleRate) => {
    const pcm = SPEECH.subarray(0, 40_000);
    const whole = detect(pcm, sampleRate, () => sampleRate / 50);
    for (const ms of [10, 30, 60]) {
      expect(detect(pcm, sampleRate, () => (sampleRate * ms) / 1000).edges).toEqual(whole.edges);
    }
    const random = mulberry32(sampleRate);
    const odd = detect(pcm, sampleRate, () => 1 + below(random, 700));
    expect(odd.edges).toEqual(whole.edges);
    expect(odd.state[ADAPTIVE_STATE.EVIDENCE]).toBe(whole.state[ADAPTIVE_STATE.EVIDENCE]);
  });

  it('keeps what it has learnt of a channel over a gap', () => {
    const { state } = detect(noise(0.01, 40_000));
    const floors = state.slice(ADAPTIVE_STATE.FLOOR, ADAPTIVE_STATE.FLOOR + 7);
    skipAdaptive(state, 0, 400_000);
    expect(state.slice(ADAPTIVE_STATE.FLOOR, ADAPTIVE_STATE.FLOOR + 7)).toEqual(floors);
  });

  it.skipIf(!hasSpeechFile)('finds the long silences of a recorded voice', () => {
    const found = pauses(detect(speechFile()).edges);
    for (const ms of [2210, 1780, 1050, 5290]) {
      expect(
        found.some((one) => Math.abs(one - ms) <= 50),
        `${ms} ms in ${found.join(' ')}`,
      ).toBe(true);
    }
  });
});
