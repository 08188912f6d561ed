import { FLAG, KIND, RECORD } from '../../../ring/layout.js';
import type { RingConsumer, RingPlace } from '../../../ring/ring.js';
import { APPEND_ONLY, type RecorderMemory, WRITE_BUFFER } from '../recorder-memory.js';
import { copySamples, type SampleSource, sampleSource } from './write-buffers.js';

/** Flags of a frame that are news beside its samples. */
const NEWS = FLAG.SILENT | FLAG.LOST | FLAG.DECODE_ERROR | FLAG.NO_PCM;

/** For WRITE_BUFFER.APPEND_ONLY: the frames that are silent, or are not, only add samples; with undefined none does. */
export function appendOnlyWord(silent: boolean | undefined): number {
  if (silent === undefined) return 0;
  return silent ? APPEND_ONLY | FLAG.SILENT : APPEND_ONLY;
}

/**
 * Takes the frames out of one ring that only add samples, which are nearly all: whole frames that begin where the last
 * one ended, in the same state, and fit into the write buffer. All that they need is in the recorder's memory. Any
 * other record is left to the recording.
 */
export class AppendOnlyFrames {
  readonly #ring: RingConsumer;
  readonly #memory: RecorderMemory;
  readonly #source: SampleSource;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  constructor(ring: RingConsumer, place: RingPlace, memory: RecorderMemory) {
    this.#ring = ring;
    this.#memory = memory;
    this.#source = sampleSource(place.memory);
    this.#words = new Int32Array(place.memory, 0, place.memory.byteLength >> 2);
    this.#doubles = new Float64Array(place.memory, 0, place.memory.byteLength >> 3);
  }

  /** The memory of the ring's records. */
  get source(): SampleSource {
    return this.#source;
  }

  /**
   * Takes such frames, at most `most`, until another record comes. Returns how many. `slots` has, by stream, the slot of
   * its recording or −1. The ring gets their space back all at once; the frames that a thread had taken by its death
   * are recognised by their position.
   */
  take(slots: Int32Array, most: number): number {
    let taken = 0;
    while (taken < most) {
      const at = this.#ring.peek();
      if (at < 0 || !this.#takeOne(slots, at)) break;
      this.#ring.advance();
      taken++;
    }
    if (taken > 0) this.#ring.giveBack();
    return taken;
  }

  #takeOne(slots: Int32Array, at: number): boolean {
    const words = this.#words;
    const traits = words[(at + RECORD.KIND) >> 2] as number;
    const channel = (traits >> 8) & 0xff;
    const slot = slots[words[(at + RECORD.STREAM) >> 2] as number] ?? -1;
    if ((traits & 0xff) !== KIND.FRAME || channel > 1 || slot < 0) return false;
    const fields = this.#memory.words;
    const line = this.#memory.line(slot, channel === 0 ? 0 : 1) >> 2;
    if (((traits >>> 24) & NEWS) + APPEND_ONLY !== fields[line + (WRITE_BUFFER.APPEND_ONLY >> 2)]) return false;
    const count = words[(at + RECORD.SAMPLE_COUNT) >> 2] as number;
    const bytes = 2 * count;
    const start = fields[line + (WRITE_BUFFER.START >> 2)] as number;
    const held = fields[line + (WRITE_BUFFER.COUNT >> 2)] as number;
    const position = start + held;
    const end = position + count;
    const isAppendOnly =
      count > 0 &&
      end <= (fields[line + (WRITE_BUFFER.LIMIT >> 2)] as number) &&
      position === fields[line + (WRITE_BUFFER.END >> 2)] &&
      position === this.#doubles[(at + RECORD.POSITION) >> 3] &&
      bytes === words[(at + RECORD.PAYLOAD_LENGTH) >> 2] &&
      bytes + RECORD.OUTPUT_HEADER_BYTES <= (words[(at + RECORD.LENGTH) >> 2] as number);
    if (!isAppendOnly) return false;
    const target = (this.#memory.buffer(slot, channel === 0 ? 0 : 1) >> 1) + held;
    copySamples(this.#source, (at + RECORD.OUTPUT_HEADER_BYTES) >> 1, this.#memory, target, count);
    fields[line + (WRITE_BUFFER.COUNT >> 2)] = held + count;
    fields[line + (WRITE_BUFFER.END >> 2)] = end;
    fields[line + (WRITE_BUFFER.FRAMES >> 2)] = (fields[line + (WRITE_BUFFER.FRAMES >> 2)] as number) + 1;
    return true;
  }
}
