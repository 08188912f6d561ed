import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePcma, decodePcmu } from '../../src/audio/codecs/g711.js';
import { decodeL16, decodeL16Le } from '../../src/audio/codecs/l16.js';
import { concealLost, concealmentSlots, initConcealment, rememberForConcealment } from '../../src/audio/concealment.js';
import { ConcealmentHistory, type Decode } from '../../src/audio/concealment-history.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { SAMPLE_RATES } from '../../src/core/codec.js';

const packet = fc.uint8Array({ maxLength: 2200 });
const loss = fc.integer({ min: 1, max: 1500 });

describe('ConcealmentHistory', () => {
  it.each([
    ['PCMU', decodePcmu, 1],
    ['PCMA', decodePcma, 1],
    ['L16', decodeL16, 2],
    ['little-endian L16', decodeL16Le, 2],
  ] as const)('conceals as if each packet of %s had been remembered as it was decoded', (_, decode, bytesPerSample) => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SAMPLE_RATES),
        fc.array(fc.oneof(packet, loss), { maxLength: 12 }),
        fc.nat(7),
        (sampleRate, events, at) => {
          const history = new ConcealmentHistory(sampleRate, bytesPerSample, decode);
          const reference = new Reference(sampleRate, decode);
          for (const event of events) {
            if (typeof event === 'number') {
              const out = SampleMemory.copyOf(new Int16Array(event));
              history.conceal(out, 0, event);
              expect(out.samples.subarray(0, event)).toEqual(reference.conceal(event));
            } else {
              const length = event.length - (event.length % bytesPerSample);
              const packets = SampleMemory.copyOf(Uint8Array.of(...new Uint8Array(at), ...event));
              history.keep(packets, at, length);
              reference.keep(packets, at, length);
            }
          }
        },
      ),
    );
  });
});

/** Decodes at once. */
class Reference {
  readonly #state: SampleMemory;
  readonly #decode: Decode;

  constructor(sampleRate: number, decode: Decode) {
    this.#state = new SampleMemory(new ArrayBuffer(2 * concealmentSlots(sampleRate)));
    this.#decode = decode;
    initConcealment(this.#state, 0, sampleRate);
  }

  keep(packets: SampleMemory, at: number, length: number): void {
    const pcm = SampleMemory.copyOf(new Int16Array(length));
    const samples = this.#decode(packets, at, length, pcm, 0);
    if (samples > 0) rememberForConcealment(this.#state, 0, pcm, 0, samples);
  }

  conceal(count: number): Int16Array {
    const out = SampleMemory.copyOf(new Int16Array(count));
    concealLost(this.#state, 0, out, 0, count);
    return out.samples.slice(0, count);
  }
}
