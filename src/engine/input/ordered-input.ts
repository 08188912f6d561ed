import { Buffer } from 'node:buffer';
import { PacketColumns } from '../../rtp/packet-columns.js';
import { CLAIM, type Claim, type OrderedIngest } from './ingest.js';
import { packetStride, type Release } from './release.js';

const NONE = -1;

/**
 * The way in for ordered streams: straight into the ring of the stream's shard, without a batch or a jitter buffer. A
 * full ring drops nothing here: the claim is refused, and the source lets its peer wait.
 */
export class OrderedInput implements OrderedIngest {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly at = new Int32Array(2);
  readonly #release: Release;
  readonly #onPublished: () => void;
  /** Of each stream; 0 when it is not open, or not ordered. */
  readonly #channels: Uint8Array;
  readonly #packets: Float64Array;
  readonly #payloadBytes: Float64Array;
  /** Of each stream: arrival of its last packet, or NONE before the first and while one waits for capacity. */
  readonly #arrivalUs: Float64Array;
  /** Position of its last packet. */
  readonly #position: Float64Array;
  /** One row, for the packet that is being committed. */
  readonly #columns = new PacketColumns(1);
  #stream = 0;
  /** Claims for streams that are not open, or no longer. */
  unknownStream = 0;

  constructor(memory: SharedArrayBuffer, maxStreams: number, release: Release, onPublished: () => void) {
    this.bytes = Buffer.from(memory);
    this.words = new Int32Array(memory);
    this.#release = release;
    this.#onPublished = onPublished;
    this.#channels = new Uint8Array(maxStreams);
    this.#packets = new Float64Array(maxStreams);
    this.#payloadBytes = new Float64Array(maxStreams);
    this.#arrivalUs = new Float64Array(maxStreams);
    this.#position = new Float64Array(maxStreams);
  }

  open(stream: number, channels: number): void {
    this.#channels[stream] = channels;
    this.#packets[stream] = 0;
    this.#payloadBytes[stream] = 0;
    this.#arrivalUs[stream] = NONE;
    this.#position[stream] = 0;
  }

  close(stream: number): void {
    this.#channels[stream] = 0;
  }

  /** Packets of a stream, of all channels, since it was opened. */
  packetsOf(stream: number): number {
    return this.#packets[stream] as number;
  }

  payloadBytesOf(stream: number): number {
    return this.#payloadBytes[stream] as number;
  }

  /** Arrival of a stream's last packet; −1 before the first, and while one waits for capacity. */
  arrivalUs(stream: number): number {
    return this.#arrivalUs[stream] as number;
  }

  /** Where its last packet begins, in samples. */
  positionOf(stream: number): number {
    return this.#position[stream] as number;
  }

  claim(stream: number, lengthBytes: number): Claim {
    const channels = this.#channels[stream] ?? 0;
    if (channels === 0) {
      this.unknownStream++;
      return CLAIM.GONE;
    }
    const at = this.#release.claimPackets(stream, channels, lengthBytes);
    if (at < 0) {
      this.#arrivalUs[stream] = NONE;
      return CLAIM.FULL;
    }
    this.at[0] = at;
    this.at[1] = at + packetStride(lengthBytes);
    this.#stream = stream;
    this.#columns.payloadLength[0] = lengthBytes;
    return CLAIM.GIVEN;
  }

  commit(sequence: number, positionSamples: number, arrivalUs: number): void {
    const stream = this.#stream;
    const columns = this.#columns;
    const length = columns.payloadLength[0] as number;
    const channels = this.#channels[stream] as number;
    columns.sequence[0] = sequence;
    columns.timestamp[0] = positionSamples;
    columns.arrivalUs[0] = arrivalUs;
    for (let channel = 0; channel < channels; channel++) {
      columns.channel[0] = stream * 2 + channel;
      this.#release.commitPacket(columns, 0);
    }
    this.#arrivalUs[stream] = arrivalUs;
    this.#position[stream] = positionSamples;
    this.#packets[stream] = (this.#packets[stream] as number) + channels;
    this.#payloadBytes[stream] = (this.#payloadBytes[stream] as number) + channels * length;
  }

  publish(): void {
    this.#release.publish();
    this.#onPublished();
  }
}
