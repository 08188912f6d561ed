import type { FrameView, StreamInfo } from '../events.js';
import { chunkOf, type MediaChunk } from './media-chunk.js';

/** Which silent frames belong to the speech beside them. */
export interface RollOptions {
  /**
   * Silent frames of this many milliseconds before speech begins are delivered too, with `roll: 'pre'`, in front of the
   * first frame with speech: a detector notices speech only when its first sound has gone by. 0 to 2,000; default 200.
   */
  readonly preRollMs?: number;
  /** Silent frames of this many milliseconds after speech has ended are delivered too, with `roll: 'post'`. 0 to 2,000; default 0. */
  readonly postRollMs?: number;
}

export interface SpeechChunkOptions extends RollOptions {
  /** All silent frames as well; then there is no roll. */
  readonly includeSilent?: boolean;
}

const DEFAULT_PRE_ROLL_MS = 200;
const MAX_ROLL_MS = 2_000;
/** Longest frame of Opus: of one, only a part may lie within the pre-roll, and one may not fit behind the last one in the ring. */
const LONG_FRAME_MS = 120;
/** Frames are counted on to be at least this long on average; of shorter ones, fewer milliseconds are kept. */
const SHORT_FRAME_MS = 5;

/** The chunks of speech among the frames of all streams, with the silent ones around it that `preRollMs` and `postRollMs` add. */
export class SpeechChunks {
  readonly #preRollMs: number;
  readonly #postRollMs: number;
  readonly #includeSilent: boolean;
  readonly #give: (chunk: MediaChunk) => void;
  /** By channel; made at its first silent frame. */
  readonly #rolls: (ChannelRoll | undefined)[] = [];

  /** @throws RangeError for a pre-roll or post-roll out of range. */
  constructor(options: SpeechChunkOptions, give: (chunk: MediaChunk) => void) {
    this.#preRollMs = inRange('preRollMs', options.preRollMs ?? DEFAULT_PRE_ROLL_MS);
    this.#postRollMs = inRange('postRollMs', options.postRollMs ?? 0);
    this.#includeSilent = options.includeSilent ?? false;
    this.#give = give;
  }

  /** Which frames take() needs the samples of. */
  get selection(): 'all' | 'speech' {
    return this.#includeSilent || this.#preRollMs > 0 || this.#postRollMs > 0 ? 'all' : 'speech';
  }

  take(frame: FrameView): void {
    if (!frame.hasPcm) return;
    if (this.#includeSilent || this.selection === 'speech') {
      if (this.#includeSilent || !frame.isSilent) this.#give(chunkOf(frame));
      return;
    }
    const roll = this.#rollOf(frame);
    if (!frame.isSilent) {
      roll.release(frame.positionSamples, this.#give);
      roll.speechEnd = frame.positionSamples + frame.sampleCount;
      this.#give(chunkOf(frame));
    } else if (frame.positionSamples < roll.speechEnd + roll.postRoll) {
      this.#give({ ...chunkOf(frame), roll: 'post' });
    } else if (this.#preRollMs > 0) {
      roll.keep(frame);
    }
  }

  streamEnded({ stream }: StreamInfo): void {
    this.#rolls[2 * stream] = undefined;
    this.#rolls[2 * stream + 1] = undefined;
  }

  #rollOf({ info, channel }: FrameView): ChannelRoll {
    const at = 2 * info.stream + channel;
    const known = this.#rolls[at];
    if (known?.info === info) return known;
    const roll = new ChannelRoll(info, this.#preRollMs, this.#postRollMs);
    this.#rolls[at] = roll;
    return roll;
  }
}

function inRange(name: string, milliseconds: number): number {
  if (milliseconds >= 0 && milliseconds <= MAX_ROLL_MS) return milliseconds;
  throw new RangeError(`${name} is a number of milliseconds from 0 to ${MAX_ROLL_MS}; it is ${milliseconds}.`);
}

const SLOT = { OFFSET: 0, COUNT: 1, POSITION: 2, SEQUENCE: 3, TIMESTAMP: 4, PROCESSED_US: 5, CONCEALED: 6 } as const;
const SLOT_FIELDS = 7;

/** The latest silent frames of one channel: a ring of samples and one of what else is known of each frame. */
class ChannelRoll {
  readonly info: StreamInfo;
  readonly postRoll: number;
  /** End of the last frame with speech. */
  speechEnd = Number.NEGATIVE_INFINITY;
  readonly #preRoll: number;
  readonly #pcm: Int16Array;
  readonly #slots: Float64Array;
  #channel: 0 | 1 = 0;
  #first = 0;
  #count = 0;
  #writeAt = 0;

  constructor(info: StreamInfo, preRollMs: number, postRollMs: number) {
    this.info = info;
    this.#preRoll = (preRollMs * info.sampleRate) / 1000;
    this.postRoll = (postRollMs * info.sampleRate) / 1000;
    this.#pcm = new Int16Array(
      preRollMs > 0 ? Math.ceil(((preRollMs + 2 * LONG_FRAME_MS) * info.sampleRate) / 1000) : 0,
    );
    this.#slots = new Float64Array((Math.ceil(preRollMs / SHORT_FRAME_MS) + 1) * SLOT_FIELDS);
  }

  keep(frame: FrameView): void {
    const count = frame.sampleCount;
    if (count > this.#pcm.length) {
      this.#count = 0;
      return;
    }
    if (this.#writeAt + count > this.#pcm.length) {
      // Those behind the last one written are the oldest.
      while (this.#count > 0 && this.#of(0, SLOT.OFFSET) >= this.#writeAt) this.#dropOldest();
      this.#writeAt = 0;
    }
    while (this.#count > 0 && this.#isOverwritten(count)) this.#dropOldest();
    if (this.#count === this.#slots.length / SLOT_FIELDS) this.#dropOldest();
    this.#channel = frame.channel;
    const slots = this.#slots;
    const slot = this.#slotAt(this.#count++);
    slots[slot + SLOT.OFFSET] = this.#writeAt;
    slots[slot + SLOT.COUNT] = count;
    slots[slot + SLOT.POSITION] = frame.positionSamples;
    slots[slot + SLOT.SEQUENCE] = frame.sequenceNumber;
    slots[slot + SLOT.TIMESTAMP] = frame.timestamp;
    slots[slot + SLOT.PROCESSED_US] = frame.processedUs;
    slots[slot + SLOT.CONCEALED] = frame.concealed ? 1 : 0;
    frame.copyPcmTo(this.#pcm, this.#writeAt);
    this.#writeAt += count;
  }

  /** Gives the frames that lie within the pre-roll before speech at `position`, and forgets all. */
  release(position: number, give: (chunk: MediaChunk) => void): void {
    for (; this.#count > 0; this.#dropOldest()) {
      const start = this.#of(0, SLOT.POSITION);
      if (start + this.#of(0, SLOT.COUNT) > position - this.#preRoll && start < position) give(this.#oldestChunk());
    }
    this.#writeAt = 0;
  }

  #oldestChunk(): MediaChunk {
    const offset = this.#of(0, SLOT.OFFSET);
    const samples = this.#pcm.subarray(offset, offset + this.#of(0, SLOT.COUNT));
    const { interactionId, sampleRate } = this.info;
    return {
      payload: Buffer.from(Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)),
      metadata: {
        interactionId,
        channel: this.#channel,
        timestamp: this.#of(0, SLOT.TIMESTAMP),
        sequenceNumber: this.#of(0, SLOT.SEQUENCE),
        sampleRate,
        positionSamples: this.#of(0, SLOT.POSITION),
        concealed: this.#of(0, SLOT.CONCEALED) === 1,
      },
      isSilent: true,
      roll: 'pre',
      processedAt: this.#of(0, SLOT.PROCESSED_US),
    };
  }

  #isOverwritten(count: number): boolean {
    const offset = this.#of(0, SLOT.OFFSET);
    return offset < this.#writeAt + count && offset + this.#of(0, SLOT.COUNT) > this.#writeAt;
  }

  #dropOldest(): void {
    this.#first = (this.#first + 1) % (this.#slots.length / SLOT_FIELDS);
    this.#count--;
  }

  #slotAt(index: number): number {
    return ((this.#first + index) % (this.#slots.length / SLOT_FIELDS)) * SLOT_FIELDS;
  }

  #of(index: number, field: number): number {
    return this.#slots[this.#slotAt(index) + field] as number;
  }
}
