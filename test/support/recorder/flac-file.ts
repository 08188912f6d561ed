import { createHash } from 'node:crypto';
import { BitWriter } from '../../../src/audio/flac/bit-writer.js';
import { type FlacFormat, FlacFrameEncoder } from '../../../src/audio/flac/frame-encoder.js';
import { flacMetadata, flacMetadataBytes } from '../../../src/audio/flac/metadata.js';

/** A whole file in memory, with one seek point. */
export function flacFile(pcm: Int16Array, format: FlacFormat, firstFrame = 0): Uint8Array {
  const encoder = new FlacFrameEncoder(format);
  const samples = pcm.length / format.channels;
  const start = flacMetadataBytes(1);
  const out = new BitWriter(new Uint8Array(start + Math.ceil(samples / 1024 + 1) * encoder.maxFrameBytes));
  let at = start;
  for (let first = 0, frame = firstFrame; first < samples; first += encoder.blockSamples, frame++) {
    const count = Math.min(encoder.blockSamples, samples - first);
    const end = encoder.encode(pcm, first * format.channels, count, frame, out, at);
    if (end - at > encoder.maxFrameBytes) throw new Error('The frame is longer than the longest.');
    at = end;
  }
  const md5 = createHash('md5')
    .update(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength))
    .digest();
  const seekPoints = [{ sample: 0, offset: 0, samples: Math.min(samples, encoder.blockSamples) }];
  const frames = { blockSamples: encoder.blockSamples, minFrameBytes: 0, maxFrameBytes: 0 };
  out.bytes.set(flacMetadata({ ...format, ...frames, samples, md5, seekPoints }));
  return out.bytes.slice(0, at);
}
