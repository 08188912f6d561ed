import { afterEach, describe, expect, it, vi } from 'vitest';
import { OpusDecoder } from '../../src/audio/codecs/opus.js';
import { TrunklineError } from '../../src/core/errors.js';
import { KEPT, type KeptRecord, keptRecord } from '../../src/shard/kept-records.js';
import { OpusRepair, RepairBudget, type RepairOutput } from '../../src/shard/opus-repair.js';

const TICKS = 960;
const PACKET_US = 20_000;
/** Packets after the gap of each channel: 5 s. */
const PACKETS = 250;
const CHANNELS = 60;
const SHARD_BURST = 2_000;
const SHARD_A_SECOND = 10_000;

const decoders: OpusDecoder[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const decoder of decoders.splice(0)) decoder.free();
});

function decoder(): OpusDecoder {
  const made = new OpusDecoder(8000);
  decoders.push(made);
  return made;
}

function record(kind: KeptRecord['kind'], sequence: number): KeptRecord {
  const position = sequence * TICKS;
  const arrivalUs = sequence * PACKET_US;
  return keptRecord(kind, {
    ...{ sequence, timestamp: position, position, ticks: TICKS, arrivalUs },
    payload: Uint8Array.of(8, 1, 2, 3),
  });
}

/** Counts what is decoded again. */
class Output implements RepairOutput {
  redecoded = 0;

  hasSpace(): boolean {
    return true;
  }

  samplesOf(): number {
    return 160;
  }

  redecode(_line: unknown, kept: KeptRecord): void {
    this.redecoded++;
    kept.isNew = false;
  }
}

/** A channel whose packet 0 is lost, with `packets` behind it. */
function channel(budget: RepairBudget, packets: number): OpusRepair {
  const repair = new OpusRepair({ opus: decoder(), lastSamples: 160 }, budget);
  repair.beginGap(0);
  repair.keep(record(KEPT.LOST, 0));
  for (let sequence = 1; sequence <= packets; sequence++) repair.keep(record(KEPT.PACKET, sequence));
  return repair;
}

describe('late Opus packets of many channels at once', () => {
  it('cost the shard no more at a time than its share, and all are repaired', () => {
    const budget = new RepairBudget();
    const repairs = Array.from({ length: CHANNELS }, () => channel(budget, PACKETS));
    for (const repair of repairs) expect(repair.insert(record(KEPT.PACKET, 0))).toBe(true);
    expect(budget.waiting).toBe(CHANNELS);
    const output = new Output();
    for (const repair of repairs) repair.advance(output);
    expect(output.redecoded).toBe(SHARD_BURST);
    let sequence = PACKETS;
    for (let before = 0; repairs.some(({ isDirty }) => isDirty); before = output.redecoded) {
      sequence++;
      if (before === 0) output.redecoded = 0;
      for (const repair of repairs) {
        repair.keep(record(KEPT.PACKET, sequence));
        repair.advance(output);
      }
      expect(output.redecoded - before).toBeLessThanOrEqual((SHARD_A_SECOND * PACKET_US) / 1e6);
      expect(sequence, 'packets until all are repaired').toBeLessThan(3_000);
    }
    expect(budget.waiting).toBe(0);
    expect(budget.unrepaired).toBe(0);
    for (const repair of repairs) repair.close();
    expect(budget.usedBytes).toBe(0);
  });

  it('of a stream that ends are decoded at once', () => {
    const budget = new RepairBudget();
    while (budget.takeCredit());
    const repair = channel(budget, PACKETS);
    while (budget.takeCredit());
    repair.insert(record(KEPT.PACKET, 0));
    const output = new Output();
    repair.advance(output);
    expect(output.redecoded).toBe(0);
    repair.advance(output, true);
    expect(output.redecoded).toBe(PACKETS + 1);
    repair.close();
  });
});

describe('late Opus packets that cannot be repaired', () => {
  it('are counted when their gap is given up while they wait', () => {
    const budget = new RepairBudget();
    const repair = channel(budget, 1);
    repair.insert(record(KEPT.PACKET, 0));
    repair.close();
    expect([budget.waiting, budget.unrepaired]).toEqual([0, 1]);
  });

  it('do no harm when the thread has no memory left for a copy of the decoder', () => {
    const budget = new RepairBudget();
    const repair = new OpusRepair({ opus: decoder(), lastSamples: 160 }, budget);
    const full = vi.spyOn(OpusDecoder.prototype, 'another').mockImplementation(() => {
      throw new TrunklineError('LIMIT_EXCEEDED', 'No memory is left.');
    });
    repair.beginGap(0);
    expect([repair.isOpen, budget.givenUp, budget.usedBytes]).toEqual([false, 1, 0]);
    expect(repair.insert(record(KEPT.PACKET, 0))).toBe(false);
    // The copy in front of the gap is there, but not the one that is to go through the records.
    full.mockRestore();
    const other = channel(budget, 10);
    vi.spyOn(OpusDecoder.prototype, 'another').mockImplementation(() => {
      throw new TrunklineError('LIMIT_EXCEEDED', 'No memory is left.');
    });
    other.insert(record(KEPT.PACKET, 0));
    const output = new Output();
    other.advance(output);
    expect([other.isDirty, output.redecoded]).toEqual([true, 0]);
    other.close();
    expect(budget.unrepaired).toBe(1);
  });
});
