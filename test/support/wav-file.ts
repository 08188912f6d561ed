/** A WAV file around `data`, which holds the channels interleaved; 16-bit PCM of 8 kHz unless told otherwise. */
export function wavFile(options: {
  readonly data: Buffer;
  readonly sampleRate?: number;
  readonly channels?: number;
  readonly bits?: number;
  /** Format: 1 PCM, 3 floating point, 6 A-law, 7 µ-law. */
  readonly tag?: number;
}): Buffer {
  const { data, sampleRate = 8000, channels = 1, bits = 16, tag = 1 } = options;
  const blockBytes = channels * Math.ceil(bits / 8);
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + data.length, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(tag, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * blockBytes, 28);
  header.writeUInt16LE(blockBytes, 32);
  header.writeUInt16LE(bits, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(data.length, 40);
  return Buffer.concat([header, data]);
}
