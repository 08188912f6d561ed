import { decodePcmu, encodePcmu } from '../../src/audio/codecs/g711.js';
import { ConcealmentHistory } from '../../src/audio/concealment-history.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { loadClips } from '../../src/simulator/sound/speech.js';

/** One loss rate: the mean log-spectral distance in dB of the concealed packets from the lost ones; less is better. */
export interface ConcealmentRow {
  readonly lossPercent: number;
  /** Lost packets in a row: single ones at random, or bursts of two and three. */
  readonly pattern: 'random' | 'bursts';
  readonly lostPackets: number;
  /** Silence in place of a lost packet. */
  readonly zeroFill: number;
  /** What trunkline did before: the last 20 ms backwards and forwards. */
  readonly mirrored: number;
  /** G.711 appendix I's manner, without and with knowledge of the next packet. */
  readonly periods: number;
  readonly periodsToNext: number;
}

const LOSSES = [
  [1, 'random'],
  [3, 'random'],
  [5, 'random'],
  [10, 'random'],
  [3, 'bursts'],
  [5, 'bursts'],
  [10, 'bursts'],
] as const;
const RATE = 8000;
const PACKET = RATE / 50;

/** The voices of the simulator as µ-law at 8 kHz, each with `seeds` different losses. */
export function concealmentRows(seeds = 5): ConcealmentRow[] {
  const voices = loadClips().map(({ pcm, sampleRate }) => throughUlaw(toTelephoneRate(pcm, sampleRate)));
  return LOSSES.map(([lossPercent, pattern]) => {
    const sums = { zeroFill: 0, mirrored: 0, periods: 0, periodsToNext: 0 };
    let frames = 0;
    let lostPackets = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      for (const [voice, { pcm, codes }] of voices.entries()) {
        const lost = losses(Math.floor(pcm.length / PACKET), lossPercent, pattern, seed * 100 + voice);
        lostPackets += lost.reduce((sum, flag) => sum + flag, 0);
        const concealed = {
          zeroFill: fill(pcm, lost, () => new Int16Array(PACKET)),
          mirrored: fill(pcm, lost, mirrored),
          periods: withPeriods(pcm, codes, lost, false),
          periodsToNext: withPeriods(pcm, codes, lost, true),
        };
        for (const name of ['zeroFill', 'mirrored', 'periods', 'periodsToNext'] as const) {
          const { sum, count } = distance(pcm, concealed[name], lost);
          sums[name] += sum;
          if (name === 'zeroFill') frames += count;
        }
      }
    }
    return {
      lossPercent,
      pattern,
      lostPackets,
      zeroFill: sums.zeroFill / frames,
      mirrored: sums.mirrored / frames,
      periods: sums.periods / frames,
      periodsToNext: sums.periodsToNext / frames,
    };
  });
}

function toTelephoneRate(pcm: Int16Array, sampleRate: number): Int16Array {
  const factor = sampleRate / RATE;
  return Int16Array.from({ length: Math.floor(pcm.length / factor) }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < factor; j++) sum += pcm[i * factor + j] as number;
    return sum / factor;
  });
}

function throughUlaw(pcm: Int16Array): { pcm: Int16Array; codes: Uint8Array } {
  const codes = encodePcmu(pcm);
  const out = SampleMemory.copyOf(new Int16Array(codes.length));
  decodePcmu(SampleMemory.copyOf(codes), 0, codes.length, out, 0);
  return { pcm: out.samples.slice(0, codes.length), codes };
}

function losses(packets: number, percent: number, pattern: 'random' | 'bursts', seed: number): Uint8Array {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const lost = new Uint8Array(packets);
  const share = percent / 100 / (pattern === 'bursts' ? 2.5 : 1);
  // The first packets are history for all, and the last one has a successor.
  for (let i = 4; i < packets - 1; i++) {
    if (random() >= share) continue;
    const end = pattern === 'random' ? i + 1 : i + 2 + (random() < 0.5 ? 1 : 0);
    while (i < Math.min(end, packets - 1)) lost[i++] = 1;
  }
  return lost;
}

/** `conceal` makes the packet that is the k-th in a row of lost ones, from what was received before. */
function fill(pcm: Int16Array, lost: Uint8Array, conceal: (received: Int16Array, k: number) => Int16Array): Int16Array {
  const out = pcm.slice();
  let k = 0;
  for (const [i, isLost] of lost.entries()) {
    k = isLost === 1 ? k + 1 : 0;
    if (k > 0) out.set(conceal(pcm.subarray(0, (i - k + 1) * PACKET), k - 1), i * PACKET);
  }
  return out;
}

/** The former concealment: 20 ms of history backwards and forwards, gone after 60 ms. */
function mirrored(received: Int16Array, packet: number): Int16Array {
  const history = received.subarray(-PACKET);
  const end = 3 * PACKET;
  return Int16Array.from({ length: PACKET }, (_, i) => {
    const k = packet * PACKET + i;
    if (k >= end) return 0;
    const j = k % (2 * PACKET);
    const sample = history[j < PACKET ? PACKET - 1 - j : j - PACKET] as number;
    return k < PACKET / 2 ? sample : Math.trunc((sample * (end - k)) / (end - PACKET / 2));
  });
}

function withPeriods(pcm: Int16Array, codes: Uint8Array, lost: Uint8Array, isNextKnown: boolean): Int16Array {
  const history = new ConcealmentHistory(RATE, 1, decodePcmu);
  const packets = SampleMemory.copyOf(codes);
  const out = pcm.slice();
  const made = new SampleMemory(new ArrayBuffer(PACKET * 3));
  for (const [i, isLost] of lost.entries()) {
    if (isLost === 0) {
      history.keep(packets, i * PACKET, PACKET);
      continue;
    }
    const hasNext = isNextKnown && lost[i + 1] === 0;
    if (hasNext) made.bytes.set(codes.subarray((i + 1) * PACKET, (i + 2) * PACKET), PACKET * 2);
    history.conceal(made, 0, PACKET, PACKET * 2, hasNext ? PACKET : 0);
    out.set(made.samples.subarray(0, PACKET), i * PACKET);
  }
  return out;
}

const COSINES = Float64Array.from({ length: PACKET }, (_, i) => Math.cos((2 * Math.PI * i) / PACKET));
/** Silence of G.711's own noise: below it, differences are not audible. */
const FLOOR = 10;

/** Root mean square difference of the log spectra of half-overlapping 20 ms windows with a lost packet in them. */
function distance(sent: Int16Array, concealed: Int16Array, lost: Uint8Array): { sum: number; count: number } {
  let sum = 0;
  let count = 0;
  for (let at = 0; at + PACKET <= lost.length * PACKET; at += PACKET / 2) {
    const first = Math.floor(at / PACKET);
    if (lost[first] !== 1 && (at % PACKET === 0 || lost[first + 1] !== 1)) continue;
    const a = logSpectrum(sent, at);
    const b = logSpectrum(concealed, at);
    let squares = 0;
    for (let bin = 0; bin < a.length; bin++) squares += ((a[bin] as number) - (b[bin] as number)) ** 2;
    sum += Math.sqrt(squares / a.length);
    count++;
  }
  return { sum, count };
}

const windowed = new Float64Array(PACKET);

function logSpectrum(pcm: Int16Array, at: number): Float64Array {
  for (let i = 0; i < PACKET; i++) windowed[i] = (pcm[at + i] as number) * (0.5 - 0.5 * (COSINES[i] as number));
  const spectrum = new Float64Array(PACKET / 2 + 1);
  for (let bin = 0; bin < spectrum.length; bin++) {
    let re = 0;
    let im = 0;
    for (let i = 0, turn = 0; i < PACKET; i++) {
      re += (windowed[i] as number) * (COSINES[turn] as number);
      im += (windowed[i] as number) * (COSINES[(turn + PACKET / 4) % PACKET] as number);
      turn = (turn + bin) % PACKET;
    }
    spectrum[bin] = 10 * Math.log10((re * re + im * im) / PACKET + FLOOR);
  }
  return spectrum;
}
