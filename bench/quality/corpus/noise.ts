import type { SeededRandom } from '../../../src/simulator/network/random.js';
import { addTo, bandLimited, RATE, rms, type Signal, scaled } from './signal.js';

/** Each noise has the band of the line and an RMS of 1 over its whole length. */
export type NoiseKind = 'white' | 'car' | 'street' | 'babble';

export function normalised(signal: Signal): Signal {
  const level = rms(signal);
  return level === 0 ? signal : scaled(signal, 1 / level);
}

/** Box and Muller's transform of two uniform numbers. */
export function gaussian(length: number, random: SeededRandom): Signal {
  return Float64Array.from(
    { length },
    () => Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit()),
  );
}

export function white(length: number, random: SeededRandom): Signal {
  return normalised(bandLimited(gaussian(length, random)));
}

/**
 * Tyres, wind and engine: noise that falls by 12 dB an octave above 120 Hz, harmonics of the engine's 40 to 55 Hz, and
 * a level that drifts by 2 dB as the road changes.
 */
export function car(length: number, random: SeededRandom): Signal {
  const noise = lowPass(lowPass(gaussian(length, random), 120), 120);
  const level = rms(noise);
  const road = drift(length, 4, 2, random);
  const engine = drift(length, 6, 1.4, random);
  let phase = 0;
  return normalised(
    bandLimited(
      noise.map((sample, i) => {
        phase += (2 * Math.PI * 47 * (engine[i] as number)) / RATE;
        const hum = Math.sin(phase) + 0.6 * Math.sin(2 * phase) + 0.3 * Math.sin(7 * phase);
        return (road[i] as number) * (sample + 0.4 * level * hum);
      }),
    ),
  );
}

/** Distant traffic, vehicles that pass by in 3 to 6 s and come up to 9 dB above it, and now and then something clatters. */
export function street(length: number, random: SeededRandom): Signal {
  const sum = scaled(normalised(pink(length, random)), 1);
  for (let at = 0; at < length; at += RATE * (4 + random.below(6))) {
    const seconds = 3 + random.below(4);
    const vehicle = normalised(lowPass(gaussian(seconds * RATE, random), 500 + random.below(900)));
    const peak = 1 + 2 * random.unit();
    addTo(
      sum,
      vehicle.map((sample, i) => sample * peak * Math.sin((Math.PI * i) / vehicle.length) ** 2),
      at,
    );
  }
  for (let at = random.below(3 * RATE); at < length; at += RATE * (2 + random.below(6))) {
    const clatter = gaussian(RATE / 10, random).map((sample, i) => 2 * sample * Math.exp(-i / (RATE / 60)));
    addTo(sum, clatter, at);
  }
  return normalised(bandLimited(sum));
}

/** Several voices at once, each without pauses, equally loud. */
export function babble(length: number, voices: readonly (readonly Signal[])[], random: SeededRandom): Signal {
  const sum = new Float64Array(length);
  for (const phrases of voices) {
    let next = random.below(phrases.length);
    // The first phrase of each voice is under way already.
    for (let at = 0, skip = random.below(RATE); at < length; next++) {
      const phrase = (phrases[next % phrases.length] as Signal).subarray(at === 0 ? skip : 0);
      skip = 0;
      addTo(sum, phrase, at);
      at += Math.max(RATE / 10, phrase.length);
    }
  }
  return normalised(sum);
}

/** Noise that falls by 3 dB an octave (P. Kellet's three poles). */
function pink(length: number, random: SeededRandom): Signal {
  let [slow, middle, fast] = [0, 0, 0];
  return gaussian(length, random).map((sample) => {
    slow = 0.99765 * slow + 0.099046 * sample;
    middle = 0.963 * middle + 0.2965164 * sample;
    fast = 0.57 * fast + 1.0526913 * sample;
    return slow + middle + fast + 0.1848 * sample;
  });
}

function lowPass(signal: Signal, hertz: number): Signal {
  const keep = Math.exp((-2 * Math.PI * hertz) / RATE);
  let last = 0;
  return signal.map((sample) => {
    last = keep * last + (1 - keep) * sample;
    return last;
  });
}

/** A factor that wanders between −decibels and +decibels, from one draw every `seconds` to the next. */
function drift(length: number, seconds: number, decibels: number, random: SeededRandom): Signal {
  const step = seconds * RATE;
  const draws = Array.from({ length: Math.ceil(length / step) + 2 }, () => decibels * (2 * random.unit() - 1));
  return Float64Array.from({ length }, (_, i) => {
    const index = Math.floor(i / step);
    const part = i / step - index;
    const value = (1 - part) * (draws[index] as number) + part * (draws[index + 1] as number);
    return 10 ** (value / 20);
  });
}
