import type { AddonDeinterleaver } from '#addon';
import { loadAddon } from './addon.js';

/** The numbers of a call: one array costs less than as many arguments. */
const CALL = { FROM: 0, MASK: 1, COUNT: 2, SAMPLE_BYTES: 3, FIRST: 4, SECOND: 5 } as const;
const CALL_NUMBERS = 6;

/** native/wire, behind the same interface as JsDeinterleaver of sources/audiohook/protocol/deinterleave.ts. */
class NativeDeinterleaver {
  readonly #call = new Int32Array(CALL_NUMBERS);
  readonly #native: AddonDeinterleaver;

  constructor(memory: ArrayBufferLike) {
    this.#native = new (loadAddon().NativeDeinterleaver)(new Uint8Array(memory), this.#call);
  }

  write(
    source: { readonly bytes: Uint8Array; readonly from: number; readonly mask: number },
    count: number,
    sampleBytes: number,
    first: number,
    second: number,
  ): void {
    const call = this.#call;
    call[CALL.FROM] = source.from;
    call[CALL.MASK] = source.mask;
    call[CALL.COUNT] = count;
    call[CALL.SAMPLE_BYTES] = sampleBytes;
    call[CALL.FIRST] = first;
    call[CALL.SECOND] = second;
    this.#native.write(source.bytes);
  }
}

/**
 * The native deinterleaver for the memory of an engine, or undefined when the addon cannot be used. Whether JavaScript may
 * replace it is decided, and reported, where the engine starts its shards.
 */
export function nativeDeinterleaver({ bytes }: { readonly bytes: Uint8Array }): NativeDeinterleaver | undefined {
  try {
    return new NativeDeinterleaver(bytes.buffer);
  } catch {
    return undefined;
  }
}
