import { expect, it } from 'vitest';
import { LatePlacement } from '../../../src/rtp/late/late-placement.js';
import { PacketColumns } from '../../../src/rtp/packet-columns.js';

const packets = new PacketColumns(1);
function row(epoch: number, sequence: number, timestamp: number): PacketColumns {
  packets.epoch[0] = epoch;
  packets.sequence[0] = sequence;
  packets.timestamp[0] = timestamp;
  return packets;
}

/** The sender stands still for a second before packet 60, and begins again with number 7 at 20,000. */
function placement(): LatePlacement {
  const made = new LatePlacement(2);
  made.openChannel(0);
  made.begin(row(1, 50, 8000), 0, 8000, 0);
  made.begin(row(1, 60, 9600), 0, 0, 9600);
  made.begin(row(2, 7, 500), 0, -19_500, 20_000);
  return made;
}

const END = 30_000;

it.each([
  { what: 'by the base before the standstill', epoch: 1, sequence: 59, timestamp: 9440, position: 1440 },
  { what: 'by the base behind it', epoch: 1, sequence: 61, timestamp: 9760, position: 9760 },
  { what: 'before the restart', epoch: 1, sequence: 120, timestamp: 19_000, position: 19_000 },
  { what: 'behind the restart', epoch: 2, sequence: 9, timestamp: 820, position: 20_320 },
  {
    what: 'before the first packet of the restart, in the gap there',
    epoch: 2,
    sequence: 6,
    timestamp: 340,
    position: 19_840,
  },
  { what: 'nowhere: before the stream', epoch: 1, sequence: 49, timestamp: 7840, position: -1 },
  { what: 'nowhere: its timestamp is that of another base', epoch: 1, sequence: 55, timestamp: 50_000, position: -1 },
  { what: 'nowhere: behind the last packet', epoch: 2, sequence: 90, timestamp: 10_500, position: -1 },
])('a late packet belongs $what', ({ epoch, sequence, timestamp, position }) => {
  expect(placement().place(row(epoch, sequence, timestamp), 0, END)).toBe(position);
});

it('what is older than the bases that are remembered belongs nowhere', () => {
  const made = placement();
  for (let n = 0; n < 8; n++) made.begin(row(3, 100 * n, 0), 0, 0, END + n);
  expect(made.place(row(1, 59, 9440), 0, END + 100)).toBe(-1);
});

it('a channel that is opened again knows nothing of before', () => {
  const made = placement();
  made.openChannel(0);
  expect(made.place(row(1, 59, 9440), 0, END)).toBe(-1);
});
