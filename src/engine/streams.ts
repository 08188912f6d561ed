import {
  boundedAttributes,
  type CallAttributes,
  isEmptyAttributes,
  sameAttributes,
} from '../core/attributes/attributes.js';
import { CODEC_ID, type CodecId, codecId, isCodec, SAMPLE_RATES, type StreamFormat } from '../core/codec.js';
import { TrunklineError } from '../core/errors.js';
import type { ReceptionCounts, StreamInfo, StreamSegment } from '../core/events.js';
import { LIMITS } from '../core/limits.js';

/** Relative cost of a packet by codec, for spreading streams over shards; Opus at 16 kHz costs about 8 of G.711. */
const COST: Record<CodecId, number> = {
  [CODEC_ID.PCMU]: 1,
  [CODEC_ID.PCMA]: 1,
  [CODEC_ID.L16]: 1,
  [CODEC_ID.L16_LE]: 1,
  [CODEC_ID.OPUS]: 8,
};

export interface Stream {
  readonly info: StreamInfo;
  readonly codec: CodecId;
  readonly shard: number;
  readonly cost: number;
  /** Positions come with the packets and are taken as they are; no jitter buffer. */
  readonly ordered: boolean;
  /** Tells the streams apart that have had the same index. */
  readonly generation: number;
  /** OPEN has come through the rings, and the sinks have been told. */
  isOpened: boolean;
  /** End was asked for; CLOSE is on its way through the rings. */
  ending: boolean;
  /** What CLOSE will say of the packets. */
  finalCounts: ReceptionCounts | undefined;
}

/** What a stream takes over from the one that it continues. */
export interface PreviousStream {
  /** The same shard, so that the recorder sees the end of one before the beginning of the other. */
  readonly shard: number;
  readonly segment: StreamSegment;
  readonly attributes: CallAttributes | undefined;
}

/** What a stream takes over that continues this one, which has been `lengthMs` long. */
export function previousOf({ info, shard }: Stream, lengthMs: number): PreviousStream {
  const { segment, startedAtMs, attributes } = info;
  return {
    ...{ shard, attributes },
    segment: {
      number: (segment?.number ?? 1) + 1,
      firstStartedAtMs: segment?.firstStartedAtMs ?? startedAtMs,
      startMs: (segment?.startMs ?? 0) + lengthMs,
    },
  };
}

/** The recorder does not need the source, and what it stores of a stream is limited in size. */
export function recordedInfo({ info: { source: _, ...info } }: Stream): object {
  return info;
}

/** Where a stream comes from, as far as that is known. */
interface StreamOrigin {
  readonly organizationId?: string | undefined;
  readonly source?: string | undefined;
  readonly attributes?: CallAttributes | undefined;
  readonly previous?: PreviousStream | undefined;
}

/** Who is where: stream indices, ids, and the shard that each stream stays on. Control plane only. */
export class Streams {
  readonly #byIndex: (Stream | undefined)[];
  readonly #byId = new Map<string, number>();
  readonly #free: number[];
  readonly #load: number[];
  readonly #onShard: number[];
  #generation = 0;

  constructor(capacity: number, shards: number) {
    this.#byIndex = new Array<Stream | undefined>(capacity).fill(undefined);
    // Low indices first: they share cache lines and pages.
    this.#free = Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
    this.#load = new Array<number>(shards).fill(0);
    this.#onShard = new Array<number>(shards).fill(0);
  }

  /** Streams that are open or ending. */
  get size(): number {
    return this.#byIndex.length - this.#free.length;
  }

  /** Streams of a shard that are open or ending. */
  onShard(shard: number): number {
    return this.#onShard[shard] ?? 0;
  }

  at(stream: number): Stream | undefined {
    return this.#byIndex[stream];
  }

  find(interactionId: string): Stream | undefined {
    const index = this.#byId.get(interactionId);
    return index === undefined ? undefined : this.#byIndex[index];
  }

  *[Symbol.iterator](): IterableIterator<Stream> {
    for (const stream of this.#byIndex) if (stream !== undefined) yield stream;
  }

  open(
    interactionId: string,
    format: StreamFormat,
    ordered: boolean,
    startedAtMs: number,
    { organizationId, source, previous, attributes = previous?.attributes }: StreamOrigin = {},
  ): Stream {
    if (organizationId !== undefined) checkName(organizationId);
    checkName(interactionId);
    checkFormat(format);
    if (this.#byId.has(interactionId)) {
      throw new TrunklineError('STREAM_EXISTS', `A stream of interaction ${interactionId} is open; end it first.`);
    }
    const index = this.#free.pop();
    if (index === undefined) {
      throw new TrunklineError(
        'LIMIT_EXCEEDED',
        `All ${this.#byIndex.length} streams of this engine are in use; raise maxStreams or start another node.`,
      );
    }
    const codec = format.codec === 'l16' && format.l16Order === 'little' ? CODEC_ID.L16_LE : codecId(format.codec);
    const shard = previous?.shard ?? this.#load.indexOf(Math.min(...this.#load));
    const cost = COST[codec] * format.channels;
    this.#load[shard] = (this.#load[shard] ?? 0) + cost;
    this.#onShard[shard] = this.onShard(shard) + 1;
    const { codec: name, clockRate, sampleRate, channels } = format;
    const info: StreamInfo = {
      stream: index,
      interactionId,
      codec: name,
      clockRate,
      sampleRate,
      channels,
      startedAtMs,
      ...(organizationId === undefined ? {} : { organizationId }),
      ...(source === undefined ? {} : { source }),
      ...(previous === undefined ? {} : { segment: previous.segment }),
      ...(attributes === undefined || isEmptyAttributes(attributes)
        ? {}
        : { attributes: boundedAttributes(attributes) }),
    };
    const stream: Stream = {
      info,
      codec,
      shard,
      cost,
      ordered,
      generation: ++this.#generation,
      isOpened: false,
      ending: false,
      finalCounts: undefined,
    };
    this.#byIndex[index] = stream;
    this.#byId.set(interactionId, index);
    return stream;
  }

  /** False when nothing changes. All who have the stream's info see the new attributes at once. */
  setAttributes({ info }: Stream, attributes: CallAttributes): boolean {
    const bounded = boundedAttributes(attributes);
    if (sameAttributes(info.attributes ?? {}, bounded)) return false;
    Object.assign(info, { attributes: bounded });
    return true;
  }

  /** Frees the id at once, so that the interaction may come back, while the index lives on until free(). */
  end(stream: Stream, finalCounts: ReceptionCounts): void {
    stream.ending = true;
    stream.finalCounts = finalCounts;
    this.#byId.delete(stream.info.interactionId);
  }

  free(stream: Stream): void {
    this.#byIndex[stream.info.stream] = undefined;
    this.#free.push(stream.info.stream);
    this.#load[stream.shard] = (this.#load[stream.shard] ?? 0) - stream.cost;
    this.#onShard[stream.shard] = this.onShard(stream.shard) - 1;
  }
}

function checkName(interactionId: string): void {
  if (typeof interactionId !== 'string') {
    throw new TrunklineError('CONFIG_INVALID', `An interaction id is a string; this one is ${typeof interactionId}.`);
  }
  const bytes = Buffer.byteLength(interactionId);
  if (bytes === 0 || bytes > LIMITS.maxNameBytes) {
    throw new TrunklineError(
      'LIMIT_EXCEEDED',
      `An interaction id has 1 to ${LIMITS.maxNameBytes} bytes; this one has ${bytes}.`,
    );
  }
}

function checkFormat({ codec, clockRate, sampleRate, channels }: StreamFormat): void {
  const fits =
    isCodec(codec) &&
    (channels === 1 || channels === 2) &&
    SAMPLE_RATES.some((rate) => rate === sampleRate) &&
    (codec === 'opus' ? clockRate === 48000 : clockRate === sampleRate);
  if (!fits) {
    throw new TrunklineError(
      'CODEC_UNSUPPORTED',
      `Cannot decode ${codec} at clock rate ${clockRate}, sample rate ${sampleRate}, ${channels} channels. ` +
        `Sample rates are ${SAMPLE_RATES.join(', ')}; the clock rate is 48000 for Opus and the sample rate otherwise; ` +
        'channels are 1 or 2.',
    );
  }
}
