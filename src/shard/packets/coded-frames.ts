import type { SampleMemory } from '../../audio/sample-memory.js';
import { isFrameInSilence } from '../../audio/silence-detector.js';
import { FLAG, KIND, RECORD } from '../../ring/layout.js';
import type { RingProducer } from '../../ring/ring.js';
import { STREAM, type StreamTable, WANT } from '../../ring/stream-table.js';
import type { ChannelDecoder } from '../channel-decoders.js';
import { withKind } from '../frame-record.js';
import type { RecorderLink } from '../recorder-link.js';
import { SHARD_COUNTERS } from '../shard-data.js';

/** Whether the recorder takes the packets of a stream as they came. */
export function storesPackets(streams: StreamTable, stream: number): boolean {
  return (streams.get(stream, STREAM.WANTS) & WANT.RECORDED_PACKETS) !== 0;
}

/** Gives the recorder packets as they came. They are decoded all the same: for listeners, levels and silence. */
export class CodedFrames {
  readonly #memory: SampleMemory;
  readonly #streams: StreamTable;
  readonly #output: RingProducer;
  readonly #recorder: RecorderLink;
  /** Adds one to a counter of the shard. */
  readonly #count: (counter: number) => void;

  constructor(
    memory: SampleMemory,
    streams: StreamTable,
    output: RingProducer,
    recorder: RecorderLink,
    count: (counter: number) => void,
  ) {
    this.#memory = memory;
    this.#streams = streams;
    this.#output = output;
    this.#recorder = recorder;
    this.#count = count;
  }

  /**
   * Sends the PACKET or LOST at `at` of the input ring, which the FRAME at `out` describes. What could not be decoded is
   * sent as if it were lost.
   */
  send(at: number, out: number, stream: number): void {
    const { words } = this.#memory;
    const traits = words[(out + RECORD.KIND) >> 2] as number;
    const flags = traits >>> 24;
    const isMissing = (flags & (FLAG.LOST | FLAG.DECODE_ERROR)) !== 0;
    const length = isMissing ? 0 : (words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number);
    const frameBytes = words[(out + RECORD.PAYLOAD_LENGTH) >> 2] as number;
    words[(out + RECORD.KIND) >> 2] = withKind(traits, KIND.CODED_FRAME, flags);
    words[(out + RECORD.PAYLOAD_LENGTH) >> 2] = length;
    this.#pass(at, out, stream, length);
    words[(out + RECORD.PAYLOAD_LENGTH) >> 2] = frameBytes;
  }

  /** Sends the LATE_PACKET at `at`. False when the output ring, in whose free space it is described, is full. */
  late(decoder: ChannelDecoder, at: number, stream: number, traits: number): boolean {
    const { words } = this.#memory;
    const { doubles } = this.#streams;
    const length = words[(at + RECORD.PAYLOAD_LENGTH) >> 2] as number;
    const ticks = decoder.opusTicks(at + RECORD.INPUT_HEADER_BYTES, length);
    if (ticks <= 0) {
      this.#count(SHARD_COUNTERS.LATE_UNREPAIRED);
      return true;
    }
    const out = this.#output.tryClaim(RECORD.OUTPUT_HEADER_BYTES);
    if (out < 0) return false;
    const isSilent = isFrameInSilence(doubles, decoder.silenceBase);
    const flags = isSilent ? FLAG.REPAIRED | FLAG.SILENT : FLAG.REPAIRED;
    words.fill(0, out >> 2, (out + RECORD.OUTPUT_HEADER_BYTES) >> 2);
    words[(out + RECORD.KIND) >> 2] = withKind(traits, KIND.CODED_FRAME, flags);
    words[(out + RECORD.STREAM) >> 2] = stream;
    words[(out + RECORD.PAYLOAD_LENGTH) >> 2] = length;
    for (const field of [RECORD.SEQUENCE, RECORD.TIMESTAMP, RECORD.ARRIVAL_US]) {
      doubles[(out + field) >> 3] = doubles[(at + field) >> 3] as number;
    }
    doubles[(out + RECORD.POSITION) >> 3] = decoder.ticksToSamples(doubles[(at + RECORD.POSITION) >> 3] as number);
    words[(out + RECORD.SAMPLE_COUNT) >> 2] = decoder.ticksToSamples(ticks);
    this.#pass(at, out, stream, length);
    return true;
  }

  #pass(at: number, out: number, stream: number, length: number): void {
    if (this.#recorder.coded(out, at + RECORD.INPUT_HEADER_BYTES, length)) return;
    this.#count(SHARD_COUNTERS.RECORDER_REFUSED);
    this.#streams.add(stream, STREAM.RECORDER_REFUSED, 1);
  }
}
