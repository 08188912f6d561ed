import { Buffer } from 'node:buffer';
import { OpusDecoder } from '../../src/audio/codecs/opus.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { loadAddon } from '../../src/native/addon.js';
import type { OpusImplementation } from './messages.js';
import { SpeechPayloads } from './payloads.js';
import type { Load } from './plan.js';
import { OPUS_SAMPLE_RATE } from './subscription/plan.js';

/** Packets of each stream that are laid out, and decoded again and again: a second of them. */
const ROUNDS = 50;
const MAX_PACKET_SAMPLES = 5_760;

/** Packets back to back, one of each stream in turn, round after round. */
export interface Packets {
  readonly bytes: Buffer;
  readonly lengths: Uint32Array;
}

export function layOut({ codec, streams }: Pick<Load, 'codec' | 'streams'>): Packets {
  const payloads = new SpeechPayloads(codec);
  const all = Array.from({ length: streams }, (_, index) => payloads.speech(index));
  const packets = Array.from({ length: ROUNDS }, (_, round) =>
    all.map(({ payloads: loop, start }) => Buffer.from(loop[(start + round) % loop.length] as string, 'base64')),
  ).flat();
  return { bytes: Buffer.concat(packets), lengths: Uint32Array.from(packets, ({ length }) => length) };
}

/** Decodes all of them once; returns how many could be. */
export type Decode = (packets: Packets) => number;

/** A decoder for each of so many streams, of either kind. The loop over them is as plain as it can be. */
export const DECODERS: Readonly<Record<OpusImplementation, (streams: number) => Decode>> = {
  libopus: (streams) => {
    const loop = new (loadAddon().OpusLoop)(OPUS_SAMPLE_RATE, streams);
    return ({ bytes, lengths }) => loop.run(bytes, lengths);
  },
  opusscript: (streams) => {
    const decoders = Array.from({ length: streams }, () => new OpusDecoder(OPUS_SAMPLE_RATE));
    const out = new SampleMemory(new ArrayBuffer(2 * MAX_PACKET_SAMPLES));
    return ({ bytes, lengths }) => {
      const input = new SampleMemory(bytes.buffer);
      let at = bytes.byteOffset;
      let decoded = 0;
      for (let turn = 0; turn < lengths.length; turn++) {
        const length = lengths[turn] as number;
        const decoder = decoders[turn % streams] as OpusDecoder;
        if (decoder.decode(input, at, length, out, 0) > 0) decoded++;
        at += length;
      }
      return decoded;
    };
  },
};
