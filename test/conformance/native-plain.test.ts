import { describe, expect, it } from 'vitest';
import { encodePcma, encodePcmu } from '../../src/audio/codecs/g711.js';
import { encodeL16, encodeL16Le } from '../../src/audio/codecs/l16.js';
import { CODEC_ID, type CodecId } from '../../src/core/codec.js';
import { DETECTOR_ID } from '../../src/core/events.js';
import { KIND, MARK } from '../../src/ring/layout.js';
import { WANT } from '../../src/ring/stream-table.js';
import { SHARD_COUNTERS } from '../../src/shard/shard-data.js';
import { bothPaths, nativeMissing, type ShardRig } from '../support/engine/shard-rig.js';
import { below, mulberry32, type Random } from '../support/random.js';
import { stretches } from '../support/speech.js';
import { randomWeights } from '../support/speech-weights.js';

const missing = nativeMissing();
if (missing !== undefined) console.warn(`skipped: ${missing}`);

const ENCODE: Partial<Record<CodecId, (pcm: Int16Array) => Uint8Array>> = {
  [CODEC_ID.PCMU]: encodePcmu,
  [CODEC_ID.PCMA]: encodePcma,
  [CODEC_ID.L16]: encodeL16,
  [CODEC_ID.L16_LE]: encodeL16Le,
};
const CODECS = [CODEC_ID.PCMU, CODEC_ID.PCMA, CODEC_ID.L16, CODEC_ID.L16_LE];
const RATES = [8000, 12000, 16000, 24000, 48000];

/** A network that says now this and now that; the real one is not needed to compare. */
const speechWeights = randomWeights(9);

/** One act on a shard, the same for either path, by a random draw. */
class RandomInput {
  readonly #random: Random;
  readonly #openStreams = new Map<number, { codec: CodecId; rate: number; sequence: number; position: number }>();
  readonly #streams: number;

  constructor(seed: number, streams: number) {
    this.#random = mulberry32(seed);
    this.#streams = streams;
  }

  next(): (rig: ShardRig) => unknown {
    const random = this.#random;
    const stream = below(random, this.#streams);
    const open = this.#openStreams.get(stream);
    if (open === undefined) return this.#open(stream);
    const draw = random();
    if (draw < 0.01) {
      this.#openStreams.delete(stream);
      return (rig) => rig.close(stream);
    }
    if (draw < 0.03) {
      const wants = below(random, 8);
      return (rig) => rig.table.set(stream, 24, wants);
    }
    const channel = below(random, 2);
    const position = open.position;
    const ticks = draw < 0.2 ? below(random, open.rate / 10) : open.rate / 50;
    open.position += ticks;
    const sequence = open.sequence++;
    if (draw < 0.05) return (rig) => rig.mark(stream, position, ticks, MARK.DISCARDED, channel);
    if (draw < 0.06) {
      const stopped = ticks * below(random, 60);
      return (rig) => rig.mark(stream, position, stopped, MARK.NO_PACKETS, channel);
    }
    if (draw < 0.14) {
      const next = Uint8Array.from({ length: below(random, 3) * below(random, 900) }, () => below(random, 256));
      return (rig) => rig.lost(stream, sequence, position, ticks, channel, next);
    }
    if (draw < 0.16) open.position += below(random, 3 * open.rate) - open.rate;
    if (draw < 0.2) {
      // Any bytes, any length: empty, odd, long.
      const bytes = Uint8Array.from({ length: below(random, 700) }, () => below(random, 256));
      const marker = below(random, 2);
      return (rig) => rig.packet(stream, sequence, position, bytes, channel, marker);
    }
    const late = draw < 0.24 ? below(random, 4 * open.rate) : 0;
    const rms = [0, 0.004, 0.012, 0.3][below(random, 4)] as number;
    const pcm = Int16Array.from({ length: ticks }, () => Math.round((2 * random() - 1) * rms * 56_000) | 0);
    const payload = ENCODE[open.codec]?.(pcm) ?? new Uint8Array(0);
    if (late > 0) return (rig) => rig.late(stream, sequence, Math.max(0, position - late), payload, channel);
    return (rig) => rig.packet(stream, sequence, position, payload, channel);
  }

  #open(stream: number): (rig: ShardRig) => unknown {
    const codec = CODECS[below(this.#random, CODECS.length)] as CodecId;
    const rate = RATES[below(this.#random, RATES.length)] as number;
    const channels = below(this.#random, 2) === 0 ? 1 : 2;
    const wants = below(this.#random, 8);
    const detector = below(this.#random, 3);
    this.#openStreams.set(stream, { codec, rate, sequence: 0, position: below(this.#random, 1_000) });
    return (rig) => rig.open(stream, { codec, sampleRate: rate, channels, wants, detector });
  }
}

describe.skipIf(missing !== undefined)('the native path, over G.711 and L16', () => {
  it.each(CODECS)('decodes every code of codec %i alike', (codec) => {
    const { js, native, each } = bothPaths();
    const every = Uint8Array.from({ length: 512 }, (_, i) => (i * 37 + (i >> 8)) & 0xff);
    each((rig) => {
      rig.open(0, { codec, sampleRate: 8000 });
      rig.packet(0, 0, 0, every);
    });
    const records = native.drain();
    expect(records).toEqual(js.drain());
    expect(records.find(({ kind }) => kind === KIND.FRAME)?.payload.some((byte) => byte !== 0)).toBe(true);
  });

  it.each(
    CODECS.flatMap((codec) =>
      [DETECTOR_ID.fixed, DETECTOR_ID.adaptive, DETECTOR_ID.neural].map((detector) => [codec, detector] as const),
    ),
  )('finds the same silence in codec %i with detector %i, whatever the frames', (codec, detector) => {
    const pcm = stretches(16_000, [0.3, 700], [0.001, 900], [0.2, 120], [0.004, 1400], [0.02, 300]);
    const { js, native, each } = bothPaths({ speechWeights });
    const random = mulberry32(codec + 1);
    each((rig) => rig.open(0, { codec, sampleRate: 16_000, detector }));
    for (let at = 0, k = 0; at < pcm.length; k++) {
      const part = pcm.subarray(at, at + 1 + below(random, 960));
      const payload = ENCODE[codec]?.(part) ?? new Uint8Array(0);
      each((rig) => rig.packet(0, k, at, payload));
      at += part.length;
    }
    const records = native.drain();
    expect(records).toEqual(js.drain());
    const edges = records.filter(({ kind }) => kind === KIND.EDGE);
    if (detector === DETECTOR_ID.fixed) expect(edges).toHaveLength(5);
    else expect(edges.length).toBeGreaterThan(1);
    expect(native.tableBytes()).toEqual(js.tableBytes());
  });

  it.each([DETECTOR_ID.fixed, DETECTOR_ID.adaptive])('finds the same kinds of silence with detector %i', (detector) => {
    const { js, native, each } = bothPaths();
    const random = mulberry32(detector + 40);
    const noise = (rms: number) => stretches(8000, [rms, 20]);
    each((rig) => rig.open(0, { codec: CODEC_ID.PCMU, sampleRate: 8000, detector }));
    for (let k = 0, position = 0; k < 900; k++, position += 160) {
      const turn = Math.floor(k / 75) % 4;
      // A gap of any length where the frames of that turn would be; each turn begins and ends anywhere.
      if (turn === 3 && random() < 0.02) position += below(random, 12_000);
      const pcm = turn === 0 ? noise(0.1) : turn === 1 && random() < 0.99 ? new Int16Array(160) : noise(0.0005);
      each((rig) => rig.packet(0, k, position, encodePcmu(pcm)));
    }
    const records = native.drain();
    expect(records).toEqual(js.drain());
    const kinds = new Set(records.filter(({ kind }) => kind === KIND.EDGE).map(({ fields }) => fields?.[1]));
    expect([...kinds].sort()).toEqual([0, 1, 2]);
    expect(native.tableBytes()).toEqual(js.tableBytes());
  });

  it.each([1, 2, 3, 4, 5, 6])('puts out the same under random input and full rings, seed %i', (seed) => {
    // Rings so small that output and recorder are full every now and then, and wrap all the time.
    const options = {
      streams: 5,
      inputRingBytes: 1 << 15,
      outputRingBytes: 1 << 15,
      recorderRingBytes: 1 << 13,
      speechWeights,
    };
    const { js, native, each } = bothPaths(options);
    const input = new RandomInput(seed, 5);
    const random = mulberry32(seed * 977);
    let frames = 0;
    let corrections = 0;
    for (let round = 0; round < 1_500; round++) {
      const message = `seed ${seed}, round ${round}`;
      const act = input.next();
      expect(act(native), message).toBe(act(js));
      if (random() < 0.3) expect(native.work(), message).toBe(js.work());
      if (random() < 0.2) {
        const most = below(random, 6);
        const records = native.take(native.output, most);
        frames += records.filter(({ kind }) => kind === KIND.FRAME).length;
        expect(records, message).toEqual(js.take(js.output, most));
      }
      if (random() < 0.1) {
        const most = below(random, 6);
        const records = native.take(native.recorder, most);
        corrections += records.filter(({ kind }) => kind === KIND.CORRECTION).length;
        expect(records, message).toEqual(js.take(js.recorder, most));
      }
      if (random() < 0.005) each((rig) => rig.restart());
    }
    for (let k = 0; k < 4; k++) {
      expect(native.drain(), `seed ${seed}, the rest`).toEqual(js.drain());
      expect(native.take(native.recorder), `seed ${seed}, the rest`).toEqual(js.take(js.recorder));
    }
    expect(native.counters()).toEqual(js.counters());
    expect(native.tableBytes()).toEqual(js.tableBytes());
    expect(frames).toBeGreaterThan(100);
    expect(corrections, `seed ${seed}`).toBeGreaterThan(0);
    expect(native.counters()['RECORDER_REFUSED'], `seed ${seed}`).toBeGreaterThan(0);
  });

  it('a CLOSE tells how many records of its stream the recorder ring has refused', () => {
    const { js, native, each } = bothPaths({ recorderRingBytes: 1 << 12 });
    each((rig) => {
      for (const stream of [0, 1]) rig.open(stream, { codec: CODEC_ID.L16, sampleRate: 8000 });
      for (let k = 0; k < 30; k++) rig.packet(0, k, k * 160, encodeL16(stretches(8000, [0.2, 20])));
      for (const stream of [0, 1]) rig.close(stream);
    });
    expect(native.drain()).toEqual(js.drain());
    for (const rig of [js, native]) {
      const closes: (readonly [number, number])[] = [];
      const look = () => {
        const taken = rig.take(rig.recorder);
        for (const { kind, stream, fields } of taken) if (kind === KIND.CLOSE) closes.push([stream, fields?.[0] ?? -1]);
        return taken.length;
      };
      while (look() > 0) rig.work();
      const refused = rig.counter(SHARD_COUNTERS.RECORDER_REFUSED);
      expect(refused).toBeGreaterThan(15);
      expect(closes).toEqual([
        [0, refused],
        [1, 0],
      ]);
    }
  });

  it.each([DETECTOR_ID.fixed, DETECTOR_ID.adaptive])(
    'goes on with the silence state that the other path has left, and the other way round, detector %i',
    (detector) => {
      const pcm = stretches(8000, [0.3, 400], [0.001, 800], [0.2, 300]);
      const { js, native, each } = bothPaths();
      each((rig) => rig.open(0, { codec: CODEC_ID.L16, sampleRate: 8000, wants: WANT.SPEECH_PCM, detector }));
      const [alone, inTurn]: [unknown[], unknown[]] = [[], []];
      for (let k = 0; k * 160 < pcm.length; k++) {
        each((rig) => rig.packet(0, k, k * 160, encodeL16(pcm.subarray(k * 160, k * 160 + 160))));
        if (k % 7 === 6) native.restart(k % 2 === 0 ? 'js' : 'native');
        alone.push(...js.drain());
        inTurn.push(...native.drain());
      }
      expect(inTurn).toEqual(alone);
    },
  );

  it('skips a packet that two lives have died of, as the other path does', () => {
    const { js, native, each } = bothPaths();
    each((rig) => {
      rig.open(0, { codec: CODEC_ID.PCMU, sampleRate: 8000 });
      rig.drain();
      rig.packet(0, 0, 0, new Uint8Array(160).fill(3));
      const control = rig.data.control.offset >> 2;
      const words = new Int32Array(rig.data.memory);
      for (let death = 0; death < 2; death++) {
        // What a life leaves that dies of the record at hand.
        words[control + 3] = (words[(rig.data.input.offset + 128) >> 2] as number) | 0;
        rig.restart();
      }
      rig.packet(0, 1, 160, new Uint8Array(160).fill(3));
    });
    const records = native.drain();
    expect(records).toEqual(js.drain());
    const frames = records.filter(({ kind }) => kind === KIND.FRAME);
    expect(frames.map(({ flags }) => flags & 16)).toEqual([16, 0]);
    expect(native.counters()).toMatchObject({ POISONED: 1, DECODE_ERRORS: 1, REBUILT: 2 });
    expect(native.counters()).toEqual(js.counters());
  });
});
