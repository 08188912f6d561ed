import type { ReceptionCounts } from './events.js';

export function zeroCounts(): ReceptionCounts {
  return {
    packetsReceived: 0,
    bytesReceived: 0,
    packetsLost: 0,
    packetsLate: 0,
    packetsRepaired: 0,
    packetsDuplicate: 0,
    packetsForeign: 0,
    packetsReordered: 0,
    jitterUs: 0,
    packetsDropped: 0,
  };
}

/** Adds reception counts up: channels of one stream, or streams of one node. */
export function addCounts(sum: ReceptionCounts, counts: ReceptionCounts): void {
  sum.packetsReceived += counts.packetsReceived;
  sum.bytesReceived += counts.bytesReceived;
  sum.packetsLost += counts.packetsLost;
  sum.packetsLate += counts.packetsLate;
  sum.packetsRepaired += counts.packetsRepaired;
  sum.packetsDuplicate += counts.packetsDuplicate;
  sum.packetsForeign += counts.packetsForeign;
  sum.packetsReordered += counts.packetsReordered;
  sum.packetsDropped += counts.packetsDropped;
  sum.jitterUs = Math.max(sum.jitterUs, counts.jitterUs);
}
