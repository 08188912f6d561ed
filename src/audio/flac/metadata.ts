import type { FlacFormat } from './frame-encoder.js';

/**
 * What stands in front of the frames of a FLAC file (RFC 9639 §8):
 *
 *     0    "fLaC"
 *     4    STREAMINFO, 4 + 34 bytes: lengths of blocks and frames, format, samples, MD5 of the samples
 *     42   SEEKTABLE, 4 + 18 bytes a point: sample, offset from the first frame, samples of the frame
 *     ...  VORBIS_COMMENT: the program's name, and no comments, for these might identify people
 */
const BLOCK = { STREAMINFO: 0, SEEKTABLE: 3, VORBIS_COMMENT: 4 } as const;
const LAST = 0x80;
const BLOCK_HEADER_BYTES = 4;
const MARKER_BYTES = 4;
const STREAMINFO_BYTES = 34;
const SEEK_POINT_BYTES = 18;
const VENDOR = Buffer.from('trunkline');
const COMMENT_BYTES = 4 + VENDOR.length + 4;
const BITS = 16;
/** Lengths of blocks have 24 bits. */
const MAX_SEEK_POINTS = Math.floor(0xff_ffff / SEEK_POINT_BYTES);

/** Where in the file a frame begins. */
export interface SeekPoint {
  readonly sample: number;
  /** Bytes from the first frame. */
  readonly offset: number;
  readonly samples: number;
}

export interface FlacSummary extends FlacFormat {
  readonly blockSamples: number;
  /** Of each channel. */
  readonly samples: number;
  readonly minFrameBytes: number;
  readonly maxFrameBytes: number;
  /** Of the samples, interleaved, little-endian. */
  readonly md5: Uint8Array;
  readonly seekPoints: readonly SeekPoint[];
}

/** Length of the metadata with so many seek points. */
export function flacMetadataBytes(seekPoints: number): number {
  const blocks = [STREAMINFO_BYTES, SEEK_POINT_BYTES * seekPoints, COMMENT_BYTES];
  return MARKER_BYTES + blocks.reduce((sum, bytes) => sum + BLOCK_HEADER_BYTES + bytes, 0);
}

/** Frames between two seek points: about `seconds`, more where there would be too many points. */
export function seekPointFrames(format: FlacFormat, blockSamples: number, frames: number, seconds = 10): number {
  const wanted = Math.max(1, Math.round((seconds * format.sampleRate) / blockSamples));
  return Math.max(wanted, Math.ceil(frames / MAX_SEEK_POINTS));
}

export function flacMetadata(summary: FlacSummary): Uint8Array {
  const { seekPoints, sampleRate, channels, samples } = summary;
  const bytes = Buffer.alloc(flacMetadataBytes(seekPoints.length));
  bytes.write('fLaC', 0, 'latin1');
  let at = blockHeader(bytes, MARKER_BYTES, BLOCK.STREAMINFO, STREAMINFO_BYTES);
  at = bytes.writeUInt16BE(summary.blockSamples, at);
  at = bytes.writeUInt16BE(summary.blockSamples, at);
  at = bytes.writeUIntBE(summary.minFrameBytes, at, 3);
  at = bytes.writeUIntBE(summary.maxFrameBytes, at, 3);
  // 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of samples: 0 for those of unknown number.
  const high = Math.floor(samples / 2 ** 32) & 0xf;
  at = bytes.writeUInt32BE(((sampleRate << 12) | ((channels - 1) << 9) | ((BITS - 1) << 4) | high) >>> 0, at);
  at = bytes.writeUInt32BE(samples >>> 0, at);
  bytes.set(summary.md5, at);
  at = blockHeader(bytes, at + summary.md5.length, BLOCK.SEEKTABLE, SEEK_POINT_BYTES * seekPoints.length);
  for (const point of seekPoints) {
    at = bytes.writeBigUInt64BE(BigInt(point.sample), at);
    at = bytes.writeBigUInt64BE(BigInt(point.offset), at);
    at = bytes.writeUInt16BE(point.samples, at);
  }
  at = blockHeader(bytes, at, LAST | BLOCK.VORBIS_COMMENT, COMMENT_BYTES);
  at = bytes.writeUInt32LE(VENDOR.length, at);
  at += VENDOR.copy(bytes, at);
  bytes.writeUInt32LE(0, at);
  return bytes;
}

function blockHeader(bytes: Buffer, at: number, type: number, length: number): number {
  return bytes.writeUIntBE(length, bytes.writeUInt8(type, at), 3);
}
