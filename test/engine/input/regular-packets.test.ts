import { describe, expect, it } from 'vitest';
import type { StreamFormat } from '../../../src/core/codec.js';
import { zeroCounts } from '../../../src/core/counts.js';
import { PacketInput } from '../../../src/engine/input/packet-input.js';
import { resolveOptions } from '../../../src/engine/options.js';
import { type Stream, Streams } from '../../../src/engine/streams.js';
import { layOutMemory } from '../../../src/engine/threads/memory.js';
import { RECORD } from '../../../src/ring/layout.js';
import { RingConsumer } from '../../../src/ring/ring.js';
import { addPacket } from '../../support/engine/packets.js';
import { nativeMissing } from '../../support/engine/shard-rig.js';
import { type TrafficEvent, type TrafficOptions, traffic } from '../../support/engine/traffic.js';
import { below, mulberry32 } from '../../support/random.js';

/** A wide run: TRUNKLINE_REGULAR_SEEDS=1000. */
const SEEDS = Number(process.env['TRUNKLINE_REGULAR_SEEDS'] ?? 6);
const WIDE = { timeout: 600_000 };
const STEP_US = 5_000;
const missing = nativeMissing();

const RATES = { pcmu: 8_000, l16: 8_000, opus: 48_000 } as const;

/** The engine's input, and a shard that only lists the records that it gets. */
class InputRig {
  readonly input: PacketInput;
  readonly records: string[] = [];
  readonly reports: unknown[] = [];
  readonly #format: StreamFormat;
  readonly #streams = new Streams(2, 1);
  readonly #ring: RingConsumer;
  #stream: Stream;

  constructor(native: 'off' | 'require', { codec, channels }: TrafficOptions, inputRingBytes: number) {
    const settings = resolveOptions({ shards: 1, maxStreams: 2, native, inputRingBytes });
    const memory = layOutMemory(settings.memory);
    this.input = new PacketInput(memory, settings, this.#streams, { wake: () => {}, onPublished: () => {} });
    const [places] = memory.shards;
    if (places === undefined) throw new Error('no shard');
    this.#ring = new RingConsumer(places.input);
    const clockRate = RATES[codec];
    this.#format = { codec, clockRate, sampleRate: codec === 'opus' ? 16_000 : 8_000, channels };
    // The second stream, so that its records do not begin at 0.
    this.input.open(this.#streams.open('other', this.#format, false, 0));
    this.#stream = this.#open();
  }

  apply(event: TrafficEvent): void {
    switch (event.kind) {
      case 'packet':
        addPacket(this.input.batch, { ...event, stream: this.#stream.info.stream, arrivalUs: event.atUs });
        return;
      case 'pause':
        this.input.pause(this.#stream);
        return;
      case 'resume':
        this.input.resume(this.#stream, event.atUs);
        return;
      case 'interrupted':
        this.input.interrupted(this.#stream);
        return;
      case 'reopen':
        this.end(event.atUs);
        this.#stream = this.#open();
    }
  }

  end(nowUs: number): void {
    this.input.flush(this.#stream, nowUs);
    this.report(nowUs);
    const counts = this.input.countsOf(this.#stream);
    this.#streams.end(this.#stream, counts);
    this.input.close(this.#stream, { ...counts });
    this.#streams.free(this.#stream);
  }

  report(nowUs: number): void {
    const sample = { counts: zeroCounts(), playoutDelayUs: 0, mosLq: 0, driftPpm: 0, isOrdered: false };
    this.input.sample(this.#stream, sample);
    const { input } = this;
    const position = input.positionAt(this.#stream, nowUs);
    const paused = input.pausedPackets(this.#stream);
    this.reports.push({ nowUs, sample, position, paused, reception: input.receptionOf(this.#stream) });
  }

  /** The shard takes what has been published. */
  take(): void {
    const { view, bytes } = this.#ring;
    for (let at = this.#ring.peek(); at >= 0; at = this.#ring.peek()) {
      const kind = view.getUint8(at + RECORD.KIND);
      const length = view.getInt32(at + RECORD.LENGTH, true);
      const record = [kind, ...bytes.subarray(at + RECORD.CHANNEL, at + RECORD.PEAK)];
      record.push(...bytes.subarray(at + RECORD.INPUT_HEADER_BYTES, at + length));
      this.records.push(Buffer.from(record).toString('hex'));
      this.#ring.release();
    }
  }

  #open(): Stream {
    const stream = this.#streams.open('call', this.#format, false, 0);
    this.input.open(stream);
    return stream;
  }
}

/** Both inputs get the same; returns how many of the packets the native path has taken, in percent. */
function compare(seed: number, options: TrafficOptions, inputRingBytes = 1 << 20): number {
  const random = mulberry32(seed);
  const js = new InputRig('off', options, inputRingBytes);
  const native = new InputRig('require', options, inputRingBytes);
  let packets = 0;
  let nowUs = 0;
  let isStuck = false;
  for (const event of traffic(seed, options)) {
    while (nowUs + STEP_US <= event.atUs) {
      nowUs += STEP_US;
      if (below(random, 400) === 0) isStuck = inputRingBytes < 1 << 20;
      else if (below(random, 20) === 0) isStuck = false;
      for (const rig of [js, native]) {
        rig.input.advance(nowUs);
        if (!isStuck) rig.take();
      }
    }
    if (event.kind === 'packet') packets++;
    const insertsNow = below(random, 3) === 0;
    for (const rig of [js, native]) {
      rig.apply(event);
      if (insertsNow) rig.input.insert();
      if (below(mulberry32(seed + event.atUs), 50) === 0) rig.input.advance(event.atUs);
      if (event.kind !== 'packet' || packets % 100 !== 0) continue;
      rig.input.advance(event.atUs);
      rig.report(event.atUs);
    }
  }
  for (const rig of [js, native]) {
    rig.take();
    rig.end(nowUs);
    rig.take();
  }
  expect(native.reports, `seed ${seed}`).toEqual(js.reports);
  expect(native.records, `seed ${seed}`).toEqual(js.records);
  return (100 * native.input.regularPackets) / packets;
}

describe.skipIf(missing !== undefined)(`the native path for regular packets${missing ?? ''}`, () => {
  const kinds = (['pcmu', 'l16', 'opus'] as const).flatMap((codec) =>
    ([1, 2] as const).map((channels) => ({ codec, channels })),
  );

  it.each(kinds)('takes nearly all packets of a line in order: $codec, $channels channels', (kind) => {
    expect(compare(1, { ...kind, seconds: 40, severity: 0 })).toBeGreaterThan(95);
  });

  it.each(kinds)('does what JavaScript does, whatever happens: $codec, $channels channels', WIDE, (kind) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const severity = [0.2, 1, 3][seed % 3] as number;
      expect(compare(seed, { ...kind, seconds: 40, severity }), `seed ${seed}`).toBeGreaterThan(0);
    }
  });

  it('leaves what finds no space in a ring to the jitter buffer', WIDE, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const line = { codec: 'pcmu', channels: 2, seconds: 40, severity: [0, 0.2, 3][seed % 3] as number } as const;
      expect(compare(seed, line, 4_096)).toBeLessThan(compare(seed, line));
    }
  });
});
