import type { SeededRandom } from '../../../src/simulator/network/random.js';
import { normalised } from './noise.js';
import { addTo, bandLimited, RATE, type Signal } from './signal.js';

/** What a line carries instead of speech. Each has an RMS of about 1 while it sounds. */
export type FillerKind = 'music' | 'tones' | 'dtmf';

export const FILLERS: Readonly<Record<FillerKind, (length: number, random: SeededRandom) => Signal>> = {
  music: holdMusic,
  tones: callTones,
  dtmf,
};

/** Semitones above A2 (110 Hz) of the chords C, A minor, F and G. */
const CHORDS = [
  [3, 7, 10, 15],
  [0, 3, 7, 12],
  [8, 12, 15, 20],
  [10, 14, 17, 22],
];

/** Broken chords over a held bass: notes of seven harmonics, plucked, four in a second. */
function holdMusic(length: number, random: SeededRandom): Signal {
  const sum = new Float64Array(length);
  const beat = RATE / 4;
  let chord = random.below(CHORDS.length);
  for (let at = 0, count = 0; at < length; at += beat, count++) {
    if (count % 8 === 0) chord = (chord + 1) % CHORDS.length;
    const notes = CHORDS[chord] as readonly number[];
    addTo(sum, note(notes[count % notes.length] as number, 1, 0.5), at, 0.7 + 0.3 * random.unit());
    if (count % 8 === 0) addTo(sum, note((notes[0] as number) - 12, 2, 1.5), at);
  }
  return normalised(bandLimited(sum));
}

function note(semitones: number, seconds: number, decaySeconds: number): Signal {
  const hertz = 220 * 2 ** (semitones / 12);
  return Float64Array.from({ length: seconds * RATE }, (_, i) => {
    let sample = 0;
    for (let harmonic = 1; harmonic <= 7 && harmonic * hertz < RATE / 2; harmonic++) {
      sample += Math.sin((2 * Math.PI * harmonic * hertz * i) / RATE) / harmonic;
    }
    return sample * Math.min(1, i / 80) * Math.exp(-i / (decaySeconds * RATE));
  });
}

/** Tones of ITU-T E.180, as pairs of frequencies with their cadence in seconds. */
const CALL_TONES = [
  { hertz: [425], on: 1, off: 4 },
  { hertz: [425], on: 0.5, off: 0.5 },
  { hertz: [440, 480], on: 2, off: 4 },
  { hertz: [480, 620], on: 0.5, off: 0.5 },
  { hertz: [950], on: 0.33, off: 0.03 },
];

function callTones(length: number, random: SeededRandom): Signal {
  const { hertz, on, off } = CALL_TONES[random.below(CALL_TONES.length)] as (typeof CALL_TONES)[number];
  return cadence(length, () => hertz, on, off);
}

/** Rows and columns of the keypad (ITU-T Q.23). */
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477];

/** Digits of 100 ms with 100 ms between them. */
function dtmf(length: number, random: SeededRandom): Signal {
  return cadence(
    length,
    () => [ROWS[random.below(ROWS.length)] as number, COLUMNS[random.below(COLUMNS.length)] as number],
    0.1,
    0.1,
  );
}

function cadence(length: number, next: () => readonly number[], on: number, off: number): Signal {
  const signal = new Float64Array(length);
  const sounding = Math.round(on * RATE);
  for (let at = 0; at < length; at += Math.round((on + off) * RATE)) {
    const hertz = next();
    const amplitude = Math.sqrt(2 / hertz.length);
    for (let i = 0; i < sounding && at + i < length; i++) {
      signal[at + i] = hertz.reduce((sum, one) => sum + amplitude * Math.sin((2 * Math.PI * one * i) / RATE), 0);
    }
  }
  return signal;
}
