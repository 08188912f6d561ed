/**
 * The checksums of FLAC frames (RFC 9639 §9.1.8 and §9.3), most significant bit first and beginning with 0: of the
 * header x^8 + x^2 + x + 1, of the whole frame x^16 + x^15 + x^2 + 1.
 */
const CRC8_POLYNOMIAL = 0x07;
const CRC16_POLYNOMIAL = 0x8005;

const CRC8 = Uint8Array.from({ length: 256 }, (_, byte) => crcOfByte(byte, 8, CRC8_POLYNOMIAL));
const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => crcOfByte(byte, 16, CRC16_POLYNOMIAL));

export function flacCrc8(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = CRC8[crc ^ (bytes[i] as number)] as number;
  return crc;
}

export function flacCrc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let i = start; i < end; i++) crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ (bytes[i] as number)] as number);
  return crc;
}

function crcOfByte(byte: number, bits: number, polynomial: number): number {
  const top = 1 << (bits - 1);
  let crc = byte << (bits - 8);
  for (let i = 0; i < 8; i++) crc = crc & top ? (crc << 1) ^ polynomial : crc << 1;
  return crc & (2 * top - 1);
}
