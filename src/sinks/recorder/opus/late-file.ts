import { oggCrc } from '../../../audio/ogg/page.js';
import type { ByteFile } from '../files/byte-file.js';

/**
 * Late packets of one recording, in the order in which they came, until the end of the call brings them into their places:
 *
 *     0    position in samples of the stream f64, samples u32, channel u16, length u16, CRC of all but itself u32
 *     20   the packet
 */
const HEADER = { POSITION: 0, SAMPLES: 8, CHANNEL: 12, LENGTH: 14, CRC: 16, BYTES: 20 } as const;
const MAX_LENGTH = 0xffff;

export interface LatePacket {
  readonly channel: number;
  readonly position: number;
  readonly samples: number;
  readonly packet: Uint8Array;
}

/** Every method throws what node:fs throws. */
export class LateFile {
  readonly #newFile: () => ByteFile;
  readonly #mode: number;
  #file: ByteFile | undefined;
  #end = 0;

  constructor(newFile: () => ByteFile, mode: number) {
    this.#newFile = newFile;
    this.#mode = mode;
  }

  /** Returns the bytes written. The file is made with the first packet. */
  append(path: string, { channel, position, samples, packet }: LatePacket): number {
    if (packet.length > MAX_LENGTH) return 0;
    this.#file ??= this.#open(path);
    const record = Buffer.alloc(HEADER.BYTES + packet.length);
    record.writeDoubleLE(position, HEADER.POSITION);
    record.writeUInt32LE(samples, HEADER.SAMPLES);
    record.writeUInt16LE(channel, HEADER.CHANNEL);
    record.writeUInt16LE(packet.length, HEADER.LENGTH);
    record.set(packet, HEADER.BYTES);
    record.writeUInt32LE(oggCrc(record, 0, record.length), HEADER.CRC);
    this.#file.write(record, 0, record.length, this.#end);
    this.#end += record.length;
    return record.length;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(path: string): ByteFile {
    const file = this.#newFile();
    // Left by a thread that died: what is not whole is written over.
    if (file.reopen(path)) this.#end = readRecords(file).end;
    else {
      file.create(path, this.#mode);
      this.#end = 0;
    }
    return file;
  }
}

/** Whole records from the beginning on, and where they end. */
export function readRecords(file: ByteFile): { readonly packets: readonly LatePacket[]; readonly end: number } {
  const bytes = Buffer.alloc(file.size);
  const length = bytes.length === 0 ? 0 : file.read(bytes, 0, bytes.length, 0);
  const packets: LatePacket[] = [];
  let at = 0;
  while (at + HEADER.BYTES <= length) {
    const end = at + HEADER.BYTES + bytes.readUInt16LE(at + HEADER.LENGTH);
    if (end > length) break;
    const crc = bytes.readUInt32LE(at + HEADER.CRC);
    bytes.writeUInt32LE(0, at + HEADER.CRC);
    if (oggCrc(bytes, at, end) !== crc) break;
    packets.push({
      position: bytes.readDoubleLE(at + HEADER.POSITION),
      samples: bytes.readUInt32LE(at + HEADER.SAMPLES),
      channel: bytes.readUInt16LE(at + HEADER.CHANNEL),
      packet: bytes.subarray(at + HEADER.BYTES, end),
    });
    at = end;
  }
  return { packets, end: at };
}
