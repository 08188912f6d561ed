import type { Channel, FrameView } from '../events.js';

/** One frame of decoded audio, to keep. */
export interface MediaChunk {
  /** PCM, 16 bit, little-endian, at metadata.sampleRate. */
  readonly payload: Buffer;
  readonly metadata: MediaMetadata;
  /** Silence, with `includeSilent` or as part of the roll. */
  readonly isSilent: boolean;
  /** Silence that is delivered because speech follows (`pre`) or precedes it (`post`): see `preRollMs` and `postRollMs`. */
  readonly roll?: 'pre' | 'post' | undefined;
  /** End of decoding, in microseconds of the machine's monotonic clock. */
  readonly processedAt: number;
}

/** What an external recording system needs to align its audio with the interaction. */
export interface MetadataSync {
  readonly interactionId: string;
  readonly channel: Channel;
  /** RTP timestamp, unwrapped: it keeps growing where the one on the wire wraps around. */
  readonly timestamp: number;
  /** RTP sequence number, unwrapped. */
  readonly sequenceNumber: number;
}

/** Where a chunk of audio belongs. */
export interface MediaMetadata extends MetadataSync {
  /** Samples a second of the payload. */
  readonly sampleRate: number;
  /** From the start of the stream, in samples at sampleRate. */
  readonly positionSamples: number;
  /** Generated in place of a packet that was lost or could not be decoded. */
  readonly concealed: boolean;
}

/** A copy of a frame and its samples, which outlives the callback. */
export function chunkOf(frame: FrameView, roll?: 'pre' | 'post'): MediaChunk {
  const { channel, timestamp, sequenceNumber, positionSamples, concealed } = frame;
  const { interactionId, sampleRate } = frame.info;
  const payload = frame.copyPcmBytes();
  const metadata = { interactionId, channel, timestamp, sequenceNumber, sampleRate, positionSamples, concealed };
  // The same fields in the same order for every chunk, so that compiled code knows all of them by one shape.
  return { payload, metadata, isSilent: frame.isSilent, roll, processedAt: frame.processedUs };
}
