import { describe, expect, it } from 'vitest';
import type { StreamFormat } from '../../../src/core/codec.js';
import { CLAIM, type OrderedStreamIngest, type StreamIngest } from '../../../src/engine/input/ingest.js';
import { addPacket } from './packets.js';

/** A packet that has come through, in the order of its channel. */
export interface DeliveredPacket {
  readonly id: string;
  readonly channel: number;
  readonly sequence: number;
}

/** An ingest, and what has come of the packets and streams that it was given. */
export interface IngestUnderTest<Ingest extends StreamIngest = StreamIngest> {
  readonly ingest: Ingest;
  /** What has come through, once it is at least `count` packets. */
  delivered(count: number): Promise<readonly DeliveredPacket[]>;
  /** Ends of streams as `id reason`, once there are at least `count`. */
  ended(count: number): Promise<readonly string[]>;
}

const MONO: StreamFormat = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 };
const STEREO: StreamFormat = { ...MONO, channels: 2 };
const PAYLOAD = new Uint8Array(160).fill(0x55);

/** What every source relies on. The engine and every double of it pass this suite. */
export function describeIngest(name: string, make: () => Promise<IngestUnderTest>): void {
  const push = ({ ingest }: IngestUnderTest, stream: number, sequence: number, channel = 0): boolean =>
    addPacket(ingest.batch, { stream, channel, sequence, timestamp: sequence * 160, payload: PAYLOAD });

  describe(`${name}, as a StreamIngest`, () => {
    it('delivers the packets of each stream and channel in order', async () => {
      const under = await make();
      const { ingest } = under;
      const [a, b] = [ingest.openStream('a', STEREO), ingest.openStream('b', MONO)];
      expect(a).not.toBe(b);
      for (let n = 0; n < 5; n++) {
        push(under, a, n, 0);
        push(under, b, n);
        push(under, a, n, 1);
      }
      ingest.submit();
      ingest.endStream(a, 'ended');
      ingest.endStream(b, 'ended');
      const packets = await under.delivered(15);
      const sequences = (id: string, channel: number) =>
        packets.filter((one) => one.id === id && one.channel === channel).map(({ sequence }) => sequence);
      for (const [id, channel] of [
        ['a', 0],
        ['a', 1],
        ['b', 0],
      ] as const) {
        expect(sequences(id, channel)).toEqual([0, 1, 2, 3, 4]);
      }
      expect(packets).toHaveLength(15);
    });

    it('takes hundreds of packets before submit()', async () => {
      const under = await make();
      const stream = under.ingest.openStream('call', MONO);
      let taken = 0;
      while (taken < 700 && push(under, stream, taken)) taken++;
      expect(under.ingest.batch.rows).toBeGreaterThanOrEqual(1);
      under.ingest.submit();
      under.ingest.endStream(stream, 'ended');
      const packets = await under.delivered(taken);
      expect(taken).toBeGreaterThan(300);
      expect(packets.map(({ sequence }) => sequence)).toEqual(Array.from({ length: taken }, (_, n) => n));
    });

    it('refuses a second stream of an open id, and takes it when the first has ended', async () => {
      const under = await make();
      const { ingest } = under;
      const first = ingest.openStream('call', MONO);
      expect(() => ingest.openStream('call', MONO)).toThrow(expect.objectContaining({ code: 'STREAM_EXISTS' }));
      ingest.endStream(first, 'interrupted');
      ingest.endStream(ingest.openStream('call', MONO), 'ended');
      expect(await under.ended(2)).toEqual(['call interrupted', 'call ended']);
    });

    it('ends the stream that another one continues', async () => {
      const under = await make();
      const first = under.ingest.openStream('call', MONO);
      const second = under.ingest.openStream('call', { ...STEREO }, { continues: first });
      under.ingest.endStream(second, 'ended');
      expect(await under.ended(2)).toEqual(['call formatChanged', 'call ended']);
    });

    it('ignores streams that are unknown or have ended, and drops their packets', async () => {
      const under = await make();
      const { ingest } = under;
      const stream = ingest.openStream('call', MONO);
      ingest.endStream(stream, 'ended');
      for (const index of [stream, stream + 1, -1]) {
        expect(() => {
          ingest.endStream(index, 'error');
          ingest.streamInterrupted(index);
          ingest.pauseStream(index);
          ingest.resumeStream(index, 0);
        }).not.toThrow();
        push(under, index, 1);
      }
      ingest.submit();
      ingest.endStream(ingest.openStream('last', MONO), 'ended');
      expect(await under.ended(2)).toEqual(['call ended', 'last ended']);
      expect(await under.delivered(0)).toEqual([]);
    });
  });
}

/** The same for sources whose packets are in order. */
export function describeOrderedIngest(name: string, make: () => Promise<IngestUnderTest<OrderedStreamIngest>>): void {
  describe(`${name}, as an OrderedIngest`, () => {
    it('gives places for all channels, apart and aligned, and delivers what is committed', async () => {
      const under = await make();
      const { ingest } = under;
      const { ordered } = ingest;
      const stream = ingest.openStream('call', STEREO, { ordered: true });
      for (let n = 0; n < 3; n++) {
        expect(ordered.claim(stream, PAYLOAD.length)).toBe(CLAIM.GIVEN);
        const [first = 0, second = 0] = ordered.at;
        expect([first % 8, second % 8]).toEqual([0, 0]);
        expect(Math.abs(second - first)).toBeGreaterThanOrEqual(PAYLOAD.length);
        for (const at of [first, second]) ordered.bytes.set(PAYLOAD, at);
        ordered.commit(n, n * 160, 0);
      }
      ordered.publish();
      ingest.endStream(stream, 'ended');
      const packets = await under.delivered(6);
      for (const channel of [0, 1]) {
        expect(packets.filter((one) => one.channel === channel).map(({ sequence }) => sequence)).toEqual([0, 1, 2]);
      }
    });

    it('refuses claims for streams that are unknown or have ended', async () => {
      const { ingest } = await make();
      const stream = ingest.openStream('call', MONO, { ordered: true });
      ingest.endStream(stream, 'ended');
      for (const index of [stream, stream + 1]) expect(ingest.ordered.claim(index, 160)).toBe(CLAIM.GONE);
    });
  });
}
