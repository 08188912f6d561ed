import { KIND, RECORD } from '../../ring/layout.js';
import type { RingProducer } from '../../ring/ring.js';
import { STREAM, type StreamTable } from '../../ring/stream-table.js';
import type { ChannelDecoder } from '../channel-decoders.js';
import { withKind } from '../frame-record.js';
import { SpeechRoll } from './speech-roll.js';

/** Which silent frames of a shard's channels go to the output ring with their samples: those before and behind speech. */
export class SpeechRolls {
  readonly #streams: StreamTable;
  readonly #output: RingProducer;
  /** All of the whole shared memory. */
  readonly #quads: BigInt64Array;
  readonly #doubles: Float64Array;
  readonly #words: Int32Array;

  constructor(memory: SharedArrayBuffer, streams: StreamTable, output: RingProducer) {
    this.#streams = streams;
    this.#output = output;
    this.#quads = new BigInt64Array(memory);
    this.#doubles = new Float64Array(memory);
    this.#words = new Int32Array(memory);
  }

  /** Space for a frame of the channel and for what comes in front of it if it is speech; −1 when there is none. */
  tryClaim(decoder: ChannelDecoder, frameBytes: number): number {
    const { roll } = decoder;
    if (roll === undefined || roll.bytes === 0) return this.#output.tryClaim(frameBytes);
    if (frameBytes + roll.bytes > this.#output.maxRecordBytes) roll.clear();
    return this.#output.tryClaim(frameBytes + roll.bytes);
  }

  /**
   * The frame at `out`, which has `samples` from `position` on, is silent: keeps it in case speech follows. True when it
   * belongs to the speech before it.
   */
  silent(
    decoder: ChannelDecoder,
    out: number,
    traits: number,
    flags: number,
    position: number,
    samples: number,
  ): boolean {
    const stream = this.#words[(out + RECORD.STREAM) >> 2] as number;
    const roll = this.#of(decoder, stream);
    const preRoll = this.#streams.get(stream, STREAM.PRE_ROLL);
    if (preRoll > 0) {
      this.#words[(out + RECORD.KIND) >> 2] = withKind(traits, KIND.PRE_ROLL, flags);
      roll.keep(this.#quads, out, position, samples, preRoll);
    } else {
      roll.clear();
    }
    return position < roll.speechEnd + this.#streams.get(stream, STREAM.POST_ROLL);
  }

  /** The same of a frame of `bytes` bytes that is speech: commits the silence before it. Returns where the frame lies then. */
  speech(decoder: ChannelDecoder, out: number, bytes: number, position: number, samples: number): number {
    const stream = this.#words[(out + RECORD.STREAM) >> 2] as number;
    const roll = this.#of(decoder, stream);
    roll.speechEnd = position + samples;
    roll.trim(position, this.#streams.get(stream, STREAM.PRE_ROLL));
    if (roll.bytes === 0) return out;
    const to = out + roll.bytes;
    this.#output.bytes.copyWithin(to, out, out + bytes);
    for (let at = out; at < to; ) {
      const length = roll.take(this.#quads, this.#doubles, at, position);
      this.#output.commit(length);
      at += length;
    }
    return to;
  }

  #of(decoder: ChannelDecoder, stream: number): SpeechRoll {
    decoder.roll ??= new SpeechRoll(this.#streams.get(stream, STREAM.SAMPLE_RATE));
    return decoder.roll;
  }
}
