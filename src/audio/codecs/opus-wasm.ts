import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';
import { copySamples, SampleMemory } from '../sample-memory.js';
import { Libopus } from './libopus.js';

/** Memory with a packet in it. */
export type PacketBytes = Pick<SampleMemory, 'bytes'>;

type StateKind = 'encoder' | 'decoder';

const CHANNELS = 1;
const APPLICATION_VOIP = 2048;
// 120 ms at 48 kHz.
const MAX_SAMPLES = 5760;
/** Largest Opus packet that is given to libopus, and space for the largest that its encoder may write (3 × 1276). */
export const OPUS_PACKET_BYTES = LIMITS.maxPayloadBytes;

/**
 * libopus for one sample rate, shared by all streams of this thread that have it.
 *
 * A state of libopus is one block of memory that holds no address of its own, only those of constant tables. So a copy
 * of a fresh state is a fresh state, and a copy of any state goes on from where the first one was: 18 kB to decode,
 * 44 kB to encode. Packet and samples go through two buffers that all states have in common.
 */
export class OpusRate {
  readonly #libopus: Libopus;
  readonly #fresh: Record<StateKind, number>;
  readonly #stateBytes: Record<StateKind, number>;
  readonly #packet: number;
  readonly #pcm: number;
  #heap: SampleMemory;

  constructor({ libopus, packet, pcm }: Loaded, sampleRate: number) {
    this.#libopus = libopus;
    this.#packet = packet;
    this.#pcm = pcm;
    this.#fresh = {
      encoder: libopus.createEncoder(sampleRate, CHANNELS, APPLICATION_VOIP),
      decoder: libopus.createDecoder(sampleRate, CHANNELS),
    };
    this.#stateBytes = { encoder: this.#allocated('encoder'), decoder: this.#allocated('decoder') };
    this.#heap = new SampleMemory(libopus.bytes.buffer);
  }

  /** A fresh state; its address. @throws TrunklineError LIMIT_EXCEEDED when the memory of WebAssembly (2 GB) is full. */
  open(kind: StateKind): number {
    const state = this.#libopus.malloc(this.#stateBytes[kind]);
    if (state === 0) {
      throw new TrunklineError(
        'LIMIT_EXCEEDED',
        'No memory is left for another Opus stream in this thread; spread the streams over more shards.',
      );
    }
    this.reset(kind, state);
    return state;
  }

  reset(kind: StateKind, state: number): void {
    this.copy(kind, this.#fresh[kind], state);
  }

  copy(kind: StateKind, from: number, to: number): void {
    this.#libopus.bytes.copyWithin(to, from, from + this.#stateBytes[kind]);
  }

  /** Whether two decoders are in the same state, so that they decode all that follows alike. */
  isSame(a: number, b: number): boolean {
    const heap = this.#samples().words;
    for (let i = 0; i < this.#stateBytes.decoder >> 2; i++) if (heap[(a >> 2) + i] !== heap[(b >> 2) + i]) return false;
    return true;
  }

  close(state: number): void {
    this.#libopus.free(state);
  }

  /**
   * Decodes a packet of 1 to OPUS_PACKET_BYTES bytes whose framing has been checked, `samples` long; with `fec`, what it
   * says of the `samples` before it. The number of samples, or an error of libopus; they are read by takeSamples().
   */
  decode(state: number, input: PacketBytes, at: number, length: number, samples: number, fec: boolean): number {
    const heap = this.#libopus.bytes;
    const packet = this.#packet;
    for (let i = 0; i < length; i++) heap[packet + i] = input.bytes[at + i] as number;
    return this.#libopus.decode(state, packet, length, this.#pcm, samples, fec ? 1 : 0);
  }

  /** Makes up `samples`, a multiple of 2.5 ms and 120 ms at most. */
  conceal(state: number, samples: number): number {
    return this.#libopus.decode(state, 0, 0, this.#pcm, samples, 0);
  }

  /** The first `samples` of what was decoded last. */
  takeSamples(samples: number, out: SampleMemory, outAt: number): void {
    copySamples(this.#samples(), this.#pcm >> 1, out, outAt, samples);
  }

  /** The memory grows, and its views are replaced, when a state of any rate is opened. */
  #samples(): SampleMemory {
    if (this.#heap.bytes.length === 0) this.#heap = new SampleMemory(this.#libopus.bytes.buffer);
    return this.#heap;
  }

  control(state: number, request: number, value: number): number {
    return this.#libopus.encoderCtl(state, request, value);
  }

  /** Encodes one packet, at most MAX_SAMPLES long; a copy of it, or an error of libopus. */
  encode(state: number, pcm: Int16Array): Uint8Array | number {
    this.#samples().samples.set(pcm, this.#pcm >> 1);
    const length = this.#libopus.encode(state, this.#pcm, pcm.length, this.#packet, OPUS_PACKET_BYTES);
    return length < 0 ? length : this.#libopus.bytes.slice(this.#packet, this.#packet + length);
  }

  /** Usable bytes of a state's block of malloc (dlmalloc): the word before it has its size, and flags below 8. */
  #allocated(kind: StateKind): number {
    const words = new Uint32Array(this.#libopus.bytes.buffer);
    return ((words[(this.#fresh[kind] - 4) >> 2] as number) & ~7) - 4;
  }
}

interface Loaded {
  readonly libopus: Libopus;
  readonly packet: number;
  readonly pcm: number;
}

let loaded: Loaded | undefined;
const rates = new Map<number, OpusRate>();

/** libopus for `sampleRate` in this thread; the module is compiled by the first call (about 20 ms). */
export function opusRate(sampleRate: number): OpusRate {
  let rate = rates.get(sampleRate);
  if (rate === undefined) {
    loaded ??= load();
    rate = new OpusRate(loaded, sampleRate);
    rates.set(sampleRate, rate);
  }
  return rate;
}

/** Bytes of this thread's WebAssembly memory; 0 before the first Opus stream. */
export function opusMemoryBytes(): number {
  return loaded?.libopus.bytes.length ?? 0;
}

function load(): Loaded {
  const libopus = new Libopus();
  return { libopus, packet: libopus.malloc(OPUS_PACKET_BYTES), pcm: libopus.malloc(MAX_SAMPLES * 2) };
}
