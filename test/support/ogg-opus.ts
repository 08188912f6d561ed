/**
 * Just enough of Ogg (RFC 3533) and of its mapping for Opus (RFC 7845) to hand packets to an independent decoder: mono,
 * one packet a page, no pre-skip.
 */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let r = i << 24;
  for (let bit = 0; bit < 8; bit++) r = r & 0x80000000 ? (r << 1) ^ 0x04c11db7 : r << 1;
  return r >>> 0;
});

function page(sequence: number, granule: number, flags: number, packet: Uint8Array): Buffer {
  const lacing = Math.floor(packet.length / 255) + 1;
  const bytes = Buffer.alloc(27 + lacing + packet.length);
  bytes.write('OggS', 0, 'latin1');
  bytes.writeUInt8(flags, 5);
  bytes.writeBigInt64LE(BigInt(granule), 6);
  bytes.writeUInt32LE(0x7472756e, 14);
  bytes.writeUInt32LE(sequence, 18);
  bytes.writeUInt8(lacing, 26);
  bytes.fill(255, 27, 27 + lacing - 1);
  bytes.writeUInt8(packet.length % 255, 27 + lacing - 1);
  bytes.set(packet, 27 + lacing);
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) ^ (CRC_TABLE[((crc >>> 24) ^ byte) & 0xff] ?? 0)) >>> 0;
  bytes.writeUInt32LE(crc, 22);
  return bytes;
}

/** An Ogg Opus file of packets of 20 ms each. */
export function oggOpus(packets: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(19);
  head.write('OpusHead', 0, 'latin1');
  head.writeUInt8(1, 8);
  head.writeUInt8(1, 9);
  head.writeUInt16LE(0, 10);
  head.writeUInt32LE(48_000, 12);
  const tags = Buffer.alloc(8 + 4 + 4);
  tags.write('OpusTags', 0, 'latin1');
  const pages = [page(0, 0, 2, head), page(1, 0, 0, tags)];
  packets.forEach((packet, i) => {
    pages.push(page(i + 2, (i + 1) * 960, i === packets.length - 1 ? 4 : 0, packet));
  });
  return Buffer.concat(pages);
}
