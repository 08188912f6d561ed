import { copyQuads } from '../../core/copy.js';
import { alignRecord, RECORD } from '../../ring/layout.js';

/** Behind the samples of a PRE_ROLL: the position of the speech. */
const SPEECH_POSITION_BYTES = 8;
/** The longest frame of Opus: of one, only a part may lie within the pre-roll. In milliseconds. */
const LONGEST_FRAME_MS = 120;
/** Frames are counted on to be at least this long on average; of shorter ones, fewer milliseconds are kept. */
const SHORTEST_FRAME_MS = 5;
const EMPTY = new ArrayBuffer(0);

/** Bytes of the PRE_ROLL record of a frame with so many samples. */
function recordBytes(samples: number): number {
  return alignRecord(RECORD.OUTPUT_HEADER_BYTES + samples * 2) + SPEECH_POSITION_BYTES;
}

/**
 * The silent frames before the speech of one channel, as records in a ring that grows to what they need. They stay on
 * the shard until there is speech: most silent frames are never wanted. native/dsp/src/speech_roll.rs does the same.
 */
export class SpeechRoll {
  /** End of the last frame with speech, in samples. */
  speechEnd = Number.NEGATIVE_INFINITY;
  /** Bytes of the records that are kept. */
  bytes = 0;
  readonly #sampleRate: number;
  #quads = new BigInt64Array(EMPTY);
  #doubles = new Float64Array(EMPTY);
  #words = new Int32Array(EMPTY);
  /** Where the oldest record begins, and where the youngest ends. */
  #first = 0;
  #next = 0;
  /** Where the records end behind which the ring begins again; 0 while it has not. */
  #wrap = 0;
  /** End of the youngest frame, in samples. */
  #end = 0;

  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate;
  }

  /**
   * Keeps the record of a silent frame at byte `at` of `source`, which begins at sample `position`, and forgets what lies
   * more than `preRoll` samples before its end.
   */
  keep(source: BigInt64Array, at: number, position: number, samples: number, preRoll: number): void {
    const end = position + samples;
    this.trim(position, preRoll - samples);
    const length = recordBytes(samples);
    let to = this.#place(length);
    while (to < 0) {
      if (!this.#grow(Math.ceil(preRoll / samples) * length, preRoll)) {
        if (this.bytes === 0) return;
        this.#dropOldest();
      }
      to = this.#place(length);
    }
    copyQuads(source, at >> 3, this.#quads, to >> 3, (length - SPEECH_POSITION_BYTES) >> 3);
    this.#words[(to + RECORD.LENGTH) >> 2] = length;
    this.#next = to + length;
    this.#end = end;
    this.bytes += length;
  }

  /** Forgets what does not lie within `preRoll` samples before `position`. */
  trim(position: number, preRoll: number): void {
    // The time line has jumped back.
    if (position < this.#end) this.clear();
    while (this.bytes > 0 && this.#endOfOldest() <= position - preRoll) this.#dropOldest();
  }

  clear(): void {
    this.bytes = 0;
    this.#end = 0;
  }

  /** Moves the oldest record to byte `to` of `target`, before speech at `position`. Returns its length, or 0. */
  take(target: BigInt64Array, targetDoubles: Float64Array, to: number, position: number): number {
    if (this.bytes === 0) return 0;
    const first = this.#first;
    const length = this.#words[(first + RECORD.LENGTH) >> 2] as number;
    copyQuads(this.#quads, first >> 3, target, to >> 3, length >> 3);
    targetDoubles[(to + length - SPEECH_POSITION_BYTES) >> 3] = position;
    this.#dropOldest();
    return length;
  }

  #endOfOldest(): number {
    const position = this.#doubles[(this.#first + RECORD.POSITION) >> 3] as number;
    return position + (this.#words[(this.#first + RECORD.SAMPLE_COUNT) >> 2] as number);
  }

  #dropOldest(): void {
    const length = this.#words[(this.#first + RECORD.LENGTH) >> 2] as number;
    this.#first += length;
    this.bytes -= length;
    if (this.#first === this.#wrap) {
      this.#first = 0;
      this.#wrap = 0;
    }
  }

  /** Where the next record begins, or −1 when there is no space for it. */
  #place(length: number): number {
    if (this.bytes === 0) {
      this.#first = 0;
      this.#next = 0;
      this.#wrap = 0;
    }
    if (this.#wrap > 0) return this.#next + length <= this.#first ? this.#next : -1;
    if (this.#next + length <= this.#quads.byteLength) return this.#next;
    if (length > this.#first) return -1;
    this.#wrap = this.#next;
    return 0;
  }

  /** False when the ring is as large as it may be. */
  #grow(wanted: number, preRoll: number): boolean {
    const capacity = this.#quads.byteLength;
    const most = this.#mostBytes(preRoll);
    if (capacity >= most) return false;
    const buffer = new ArrayBuffer(Math.min(most, Math.max(wanted, capacity * 2)));
    const quads = new BigInt64Array(buffer);
    const toEnd = this.#wrap > 0 ? this.#wrap - this.#first : this.bytes;
    copyQuads(this.#quads, this.#first >> 3, quads, 0, toEnd >> 3);
    copyQuads(this.#quads, 0, quads, toEnd >> 3, (this.bytes - toEnd) >> 3);
    this.#quads = quads;
    this.#doubles = new Float64Array(buffer);
    this.#words = new Int32Array(buffer);
    this.#first = 0;
    this.#next = this.bytes;
    this.#wrap = 0;
    return true;
  }

  #mostBytes(preRoll: number): number {
    const inSamples = (ms: number) => Math.floor((ms * this.#sampleRate) / 1000);
    const frames = Math.ceil(preRoll / inSamples(SHORTEST_FRAME_MS)) + 2;
    return alignRecord((preRoll + inSamples(LONGEST_FRAME_MS)) * 2) + frames * recordBytes(0);
  }
}
