import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePcma, decodePcmu } from '../../src/audio/codecs/g711.js';
import { decodeL16, decodeL16Le } from '../../src/audio/codecs/l16.js';
import { concealLost, fitToNext, historySamples, MAX_HISTORY, pitchPeriod } from '../../src/audio/concealment.js';
import { ConcealmentHistory, type Decode } from '../../src/audio/concealment-history.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { SAMPLE_RATES } from '../../src/core/codec.js';

const packet = fc.uint8Array({ maxLength: 2200 });
const loss = fc.record({ count: fc.integer({ min: 1, max: 1500 }), next: fc.option(packet, { nil: undefined }) });

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
            const bytes = event instanceof Uint8Array ? event : (event.next ?? new Uint8Array(0));
            const length = bytes.length - (bytes.length % bytesPerSample);
            if (event instanceof Uint8Array) {
              const packets = SampleMemory.copyOf(Uint8Array.of(...new Uint8Array(at), ...bytes));
              history.keep(packets, at, length);
              reference.keep(packets, at, length);
            } else {
              const out = SampleMemory.copyOf(new Int16Array(event.count + 1102));
              const nextAt = (event.count + 1) * 2;
              out.bytes.set(bytes, nextAt);
              history.conceal(out, 0, event.count, nextAt, length);
              const next = SampleMemory.copyOf(bytes);
              expect(out.samples.subarray(0, event.count)).toEqual(reference.conceal(event.count, next, length));
            }
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});

/** Decodes at once, and keeps everything. */
class Reference {
  readonly #sampleRate: number;
  readonly #decode: Decode;
  readonly #length: number;
  #history: Int16Array = new Int16Array(MAX_HISTORY);
  #concealed = 0;
  #period = 0;

  constructor(sampleRate: number, decode: Decode) {
    this.#sampleRate = sampleRate;
    this.#decode = decode;
    this.#length = historySamples(sampleRate);
  }

  keep(packets: SampleMemory, at: number, length: number): void {
    const pcm = SampleMemory.copyOf(new Int16Array(length));
    const samples = this.#decode(packets, at, length, pcm, 0);
    const all = Int16Array.of(...this.#history.subarray(0, this.#length), ...pcm.samples.subarray(0, samples));
    this.#history = all.slice(-this.#length);
    this.#concealed = 0;
  }

  conceal(count: number, next: SampleMemory, nextLength: number): Int16Array {
    const out = new Int16Array(count);
    if (this.#concealed === 0) this.#period = pitchPeriod(this.#history, this.#length, this.#sampleRate);
    concealLost(this.#history, this.#length, this.#period, this.#sampleRate, this.#concealed, out, 0, count);
    this.#concealed += count;
    const pcm = SampleMemory.copyOf(new Int16Array(nextLength));
    const samples = this.#decode(next, 0, nextLength, pcm, 0);
    if (samples > this.#period) fitToNext(pcm.samples, this.#period, this.#sampleRate, out, 0, count);
    return out;
  }
}
