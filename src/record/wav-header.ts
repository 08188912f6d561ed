/**
 * The header of a recording: RIFF/WAVE, one `fmt ` chunk of PCM, one `data` chunk, 44 bytes in all (Multimedia
 * Programming Interface and Data Specifications 1.0, IBM and Microsoft, 1991). Sizes are 32 bit.
 */
export const WAV_HEADER_BYTES = 44;

/** Bytes of sound that a WAV file can hold: the RIFF size counts 36 bytes of header as well. */
export const WAV_MAX_DATA_BYTES = 0xffff_ffff - 36;

export interface WavFormat {
  readonly sampleRate: number;
  readonly channels: 1 | 2;
}

export function writeWavHeader(into: Buffer, format: WavFormat, dataBytes: number): void {
  const blockBytes = 2 * format.channels;
  into.write('RIFF', 0, 'latin1');
  into.writeUInt32LE(36 + dataBytes, 4);
  into.write('WAVEfmt ', 8, 'latin1');
  into.writeUInt32LE(16, 16);
  into.writeUInt16LE(1, 20);
  into.writeUInt16LE(format.channels, 22);
  into.writeUInt32LE(format.sampleRate, 24);
  into.writeUInt32LE(format.sampleRate * blockBytes, 28);
  into.writeUInt16LE(blockBytes, 32);
  into.writeUInt16LE(16, 34);
  into.write('data', 36, 'latin1');
  into.writeUInt32LE(dataBytes, 40);
}

/** The format that a header of ours tells, or undefined when these 44 bytes are none. Sizes are not looked at. */
export function readWavHeader(header: Buffer): WavFormat | undefined {
  if (header.length < WAV_HEADER_BYTES) return undefined;
  const channels = header.readUInt16LE(22);
  const sampleRate = header.readUInt32LE(24);
  if (channels !== 1 && channels !== 2) return undefined;
  const expected = Buffer.alloc(WAV_HEADER_BYTES);
  writeWavHeader(expected, { sampleRate, channels }, header.readUInt32LE(40));
  header.copy(expected, 4, 4, 8);
  return expected.equals(header.subarray(0, WAV_HEADER_BYTES)) ? { sampleRate, channels } : undefined;
}
