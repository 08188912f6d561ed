import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameEnergy, measureFrame } from '../../src/audio/frame-energy.js';
import { measureLevel } from '../../src/audio/level.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';

const energyOf = (pcm: readonly number[]): number => pcm.reduce((sum, sample) => sum + sample * sample, 0);

describe('energy of a frame', () => {
  it('is that of its parts, frame after frame of any length', () => {
    const energy = new FrameEnergy();
    fc.assert(
      fc.property(
        fc.int16Array({ maxLength: 600 }),
        fc.integer({ min: 1, max: 240 }),
        fc.nat(240),
        fc.nat(3),
        (pcm, hop, cut, at) => {
          const sound = SampleMemory.copyOf(Int16Array.of(...new Int16Array(at).fill(9), ...pcm));
          energy.hop = hop;
          energy.toCut = 1 + (cut % hop);
          measureFrame(sound, at, pcm.length, energy);
          const due: number[] = [];
          for (let from = 0, to = energy.toCut; from < pcm.length; from = to, to += hop) {
            due.push(energyOf([...pcm.subarray(from, to)]));
          }
          expect([...energy.parts.subarray(0, energy.count)]).toEqual(due);

          const level = { meanSquare: 7, peak: 7 };
          const levelDue = { meanSquare: 7, peak: 7 };
          energy.level(pcm.length, level);
          measureLevel(sound, at, pcm.length, levelDue);
          expect(level).toEqual(levelDue);
        },
      ),
    );
  });
});
