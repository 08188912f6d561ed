import { createRequire } from 'node:module';
import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';
import { copySamples, SampleMemory } from '../sample-memory.js';

/**
 * libopus 1.4 as opusscript ships it, without opusscript's own wrapper: that keeps views into the WebAssembly memory,
 * which detach when the memory grows, and spends 85 kB on each decoder, because its C++ handler always makes an
 * encoder and a 23 kB buffer besides.
 *
 * Here one handler for each sample rate is made and serves every stream of that rate. The C++ object is four words:
 *
 *     +0  channels   +4  OpusEncoder *   +8  OpusDecoder *   +12  int16 pcm[], 120 ms at 48 kHz
 *
 * The states of libopus are one block of memory each and hold no address of their own, so a copy of a fresh state is
 * a fresh state. A stream has only such a copy (18 kB to decode, 44 kB to encode), and what is called is the handler
 * with its pointer put on that copy. The words are checked when a handler is made: another build of opusscript is
 * refused, not trusted.
 */
interface OpusModule {
  // Replaced by emscripten when the memory grows: read them again after every call that may allocate.
  readonly HEAPU8: Uint8Array;
  readonly HEAPU32: Uint32Array;
  readonly OpusScriptHandler: new (sampleRate: number, channels: number, application: number) => Handler;
  _malloc(bytes: number): number;
  _free(address: number): void;
}

interface Handler {
  _decode(input: number, bytes: number, output: number): number;
  _encode(input: number, bytes: number, output: number, frameSize: number): number;
  _encoder_ctl(request: number, value: number): number;
}

type StateKind = 'encoder' | 'decoder';

const CHANNELS = 1;
const APPLICATION_VOIP = 2048;
const WORD = { CHANNELS: 0, encoder: 1, decoder: 2, PCM: 3 } as const;
// 120 ms at 48 kHz.
const MAX_SAMPLES = 5760;
/** Largest Opus packet that is given to libopus, and space for the largest that its encoder may write (3 × 1276). */
export const OPUS_PACKET_BYTES = LIMITS.maxPayloadBytes;

/** libopus for one sample rate, shared by all streams of this thread that have it. */
export class OpusRate {
  readonly #module: OpusModule;
  readonly #handler: Handler;
  /** Index into HEAPU32 of the handler's first word. */
  readonly #words: number;
  readonly #fresh: Record<StateKind, number>;
  readonly #stateBytes: Record<StateKind, number>;
  readonly #packet: number;
  readonly #pcm: number;
  #heap: SampleMemory;

  constructor(module: OpusModule, sampleRate: number, packet: number) {
    this.#module = module;
    this.#handler = new module.OpusScriptHandler(sampleRate, CHANNELS, APPLICATION_VOIP);
    this.#words = addressOf(module, this.#handler) >> 2;
    const words = module.HEAPU32;
    this.#fresh = {
      encoder: words[this.#words + WORD.encoder] as number,
      decoder: words[this.#words + WORD.decoder] as number,
    };
    this.#stateBytes = {
      encoder: allocatedBytes(module, this.#fresh.encoder),
      decoder: allocatedBytes(module, this.#fresh.decoder),
    };
    this.#pcm = words[this.#words + WORD.PCM] as number;
    this.#packet = packet;
    // What the handler does after libopus is to take its samples apart into bytes, as many as it has channels.
    words[this.#words + WORD.CHANNELS] = 0;
    this.#heap = new SampleMemory(words.buffer);
  }

  /** A fresh state; its address. @throws TrunklineError LIMIT_EXCEEDED when the memory of WebAssembly (2 GB) is full. */
  open(kind: StateKind): number {
    const state = this.#module._malloc(this.#stateBytes[kind]);
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
    const from = this.#fresh[kind];
    this.#module.HEAPU8.copyWithin(state, from, from + this.#stateBytes[kind]);
  }

  close(state: number): void {
    this.#module._free(state);
  }

  /**
   * Decodes a packet of 1 to OPUS_PACKET_BYTES bytes whose framing has been checked. The number of samples, or an
   * error of libopus; they are read by takeSamples().
   */
  decode(state: number, input: SampleMemory, at: number, length: number): number {
    const heap = this.#module.HEAPU8;
    const packet = this.#packet;
    for (let i = 0; i < length; i++) heap[packet + i] = input.bytes[at + i] as number;
    return this.#decodePacket(state, length);
  }

  /** Decodes the packet which is that one byte: a frame lost, as long as the byte says. */
  decodeToc(state: number, toc: number): number {
    this.#module.HEAPU8[this.#packet] = toc;
    return this.#decodePacket(state, 1);
  }

  #decodePacket(state: number, length: number): number {
    this.#module.HEAPU32[this.#words + WORD.decoder] = state;
    return this.#handler._decode(this.#packet, length, 0);
  }

  /** The first `samples` of what was decoded last. */
  takeSamples(samples: number, out: SampleMemory, outAt: number): void {
    copySamples(this.#samples(), this.#pcm >> 1, out, outAt, samples);
  }

  /** The memory grows, and its views are replaced, when a state of any rate is opened. */
  #samples(): SampleMemory {
    if (this.#heap.bytes.length === 0) this.#heap = new SampleMemory(this.#module.HEAPU8.buffer);
    return this.#heap;
  }

  control(state: number, request: number, value: number): number {
    this.#module.HEAPU32[this.#words + WORD.encoder] = state;
    return this.#handler._encoder_ctl(request, value);
  }

  /** Encodes one packet, at most MAX_SAMPLES long; a copy of it, or an error of libopus. */
  encode(state: number, pcm: Int16Array): Uint8Array | number {
    this.#module.HEAPU32[this.#words + WORD.encoder] = state;
    this.#samples().samples.set(pcm, this.#pcm >> 1);
    // No bytes to convert: the samples stand ready as 16-bit numbers.
    const length = this.#handler._encode(this.#pcm, 0, this.#packet, pcm.length);
    return length < 0 ? length : this.#module.HEAPU8.slice(this.#packet, this.#packet + length);
  }
}

let loaded: { module: OpusModule; packet: number } | undefined;
const rates = new Map<number, OpusRate>();

/** libopus for `sampleRate` in this thread; the module is compiled by the first call (about 20 ms). */
export function opusRate(sampleRate: number): OpusRate {
  let rate = rates.get(sampleRate);
  if (rate === undefined) {
    loaded ??= load();
    rate = new OpusRate(loaded.module, sampleRate, loaded.packet);
    rates.set(sampleRate, rate);
  }
  return rate;
}

/** Bytes of this thread's WebAssembly memory; 0 before the first Opus stream. */
export function opusMemoryBytes(): number {
  return loaded?.module.HEAPU8.byteLength ?? 0;
}

function load() {
  const require = createRequire(import.meta.url);
  const create: () => OpusModule = require('opusscript/build/opusscript_native_wasm.js');
  const module = create();
  return { module, packet: module._malloc(OPUS_PACKET_BYTES) };
}

/** The C++ object behind embind's handle: the one number in the handle's record, under a name that a minifier chose. */
function addressOf(module: OpusModule, handler: Handler): number {
  const records: unknown[] = Object.getOwnPropertyNames(handler).map((name) => Reflect.get(handler, name));
  const numbers = records.flatMap((record) =>
    typeof record === 'object' && record !== null ? Object.values(record) : [],
  );
  const address = numbers.find((value) => typeof value === 'number');
  if (typeof address !== 'number' || !isHandler(module, address)) {
    throw new TrunklineError(
      'CODEC_UNSUPPORTED',
      'The installed opusscript is not the build that trunkline knows; install opusscript 0.1.1.',
    );
  }
  return address;
}

function isHandler(module: OpusModule, address: number): boolean {
  const word = address >> 2;
  if (module.HEAPU32[word + WORD.CHANNELS] !== CHANNELS) return false;
  return [
    [WORD.encoder, 16_384],
    [WORD.decoder, 8_192],
    [WORD.PCM, MAX_SAMPLES * 2],
  ].every(
    ([index, least]) => allocatedBytes(module, module.HEAPU32[word + (index as number)] as number) >= (least as number),
  );
}

/** Usable bytes of a block of emscripten's malloc (dlmalloc): the word before it has its size, and flags below 8. */
function allocatedBytes(module: OpusModule, address: number): number {
  const size = ((module.HEAPU32[(address - 4) >> 2] ?? 0) & ~7) - 4;
  return address + size <= module.HEAPU8.byteLength ? size : 0;
}
