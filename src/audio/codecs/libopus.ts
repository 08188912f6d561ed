import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { TrunklineError } from '../../core/errors.js';

/**
 * libopus 1.6.1 in WebAssembly, out of the package libopus-wasm: the version that the native path is built from, and
 * with its whole interface, in-band FEC included. The package's own wrapper loads asynchronously and hides its states,
 * which are copied here (opus-wasm.ts), so only the module is taken from it. It stands in one JavaScript file as one
 * string, a character for each byte. Its exports have one-letter names, which mean this only in this very build: the
 * digest is compared, and another build is refused, not trusted.
 */
const PACKAGE = 'libopus-wasm';
const FILE = join(PACKAGE, 'dist', 'generated', 'libopus.generated.mjs');
const SHA256 = 'a997045d6683cf7807796defce623d06449df9e39f65a66ba31a9ebacaf6b0d2';
const BEFORE_BINARY = "{return binaryDecode('";
const PAGE_BYTES = 65_536;
/** Share of its size by which the memory grows at least, so that a thousand streams do not grow it a hundred times. */
const GROWTH = 1.2;

// The part of WebAssembly that is used here; @types/node has it only from Node 22 on.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
  readonly RuntimeError: new (message: string) => Error;
};

interface Exports {
  /** memory */
  readonly g: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  /** Runs the constructors. */
  h(): void;
  i(sampleRate: number, channels: number, application: number, error: number): number;
  k(encoder: number, pcm: number, frameSize: number, packet: number, maxBytes: number): number;
  m(encoder: number, request: number, value: number): number;
  q(sampleRate: number, channels: number, error: number): number;
  s(decoder: number, packet: number, bytes: number, pcm: number, frameSize: number, fec: number): number;
  E(bytes: number): number;
  F(address: number): void;
}

/** The interface of libopus, and malloc. Addresses are offsets into `bytes`. */
export class Libopus {
  readonly #exports: Exports;
  #bytes: Uint8Array;

  constructor() {
    const module = new WebAssembly.Module(readBinary());
    const instance = new WebAssembly.Instance(module, {
      // setitimer, proc_exit, "keep alive", fd_write and abort: nothing that libopus calls while it decodes.
      a: { a: () => 0, b: (bytes: number) => this.#grow(bytes), c: abort, d: () => undefined, e: () => 0, f: abort },
    });
    this.#exports = instance.exports as Exports;
    this.#bytes = new Uint8Array(this.#exports.g.buffer);
    this.#exports.h();
  }

  /** The whole memory. Replaced when it grows: read it again after every malloc(). */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** 0 when the memory (2 GB) is full. */
  malloc(bytes: number): number {
    return this.#exports.E(bytes) >>> 0;
  }

  free(address: number): void {
    this.#exports.F(address);
  }

  createEncoder(sampleRate: number, channels: number, application: number): number {
    return this.#created((error) => this.#exports.i(sampleRate, channels, application, error));
  }

  createDecoder(sampleRate: number, channels: number): number {
    return this.#created((error) => this.#exports.q(sampleRate, channels, error));
  }

  /** opus_encode(): bytes of the packet, or a negative error. */
  encode(encoder: number, pcm: number, frameSize: number, packet: number, maxBytes: number): number {
    return this.#exports.k(encoder, pcm, frameSize, packet, maxBytes);
  }

  encoderCtl(encoder: number, request: number, value: number): number {
    return this.#exports.m(encoder, request, value);
  }

  /** opus_decode(): samples, or a negative error. A packet at 0 is a lost one. */
  decode(decoder: number, packet: number, bytes: number, pcm: number, frameSize: number, fec: number): number {
    return this.#exports.s(decoder, packet, bytes, pcm, frameSize, fec);
  }

  #created(create: (error: number) => number): number {
    const error = this.malloc(4);
    const state = error === 0 ? 0 : create(error) >>> 0;
    this.free(error);
    return state;
  }

  /** emscripten_resize_heap(): 1 when the memory has `bytes` now. */
  #grow(bytes: number): number {
    const memory = this.#exports.g;
    const now = memory.buffer.byteLength;
    for (const wanted of [Math.max(bytes >>> 0, now * GROWTH), bytes >>> 0]) {
      try {
        memory.grow(Math.ceil((wanted - now) / PAGE_BYTES));
        this.#bytes = new Uint8Array(memory.buffer);
        return 1;
      } catch (thrown) {
        // The only way in which WebAssembly says that there is no more.
        if (!(thrown instanceof RangeError)) throw thrown;
      }
    }
    return 0;
  }
}

function abort(): never {
  throw new WebAssembly.RuntimeError('libopus has called abort().');
}

/** @throws TrunklineError CODEC_UNSUPPORTED when the package is absent, or not the build that is known here. */
function readBinary(): Uint8Array<ArrayBuffer> {
  const folders = createRequire(import.meta.url).resolve.paths(PACKAGE) ?? [];
  const file = folders.map((folder) => join(folder, FILE)).find(existsSync);
  const text = file === undefined ? '' : readFileSync(file, 'utf8');
  const start = text.indexOf(BEFORE_BINARY) + BEFORE_BINARY.length;
  const bytes = unescaped(text, start);
  if (createHash('sha256').update(bytes).digest('hex') === SHA256) return bytes;
  throw new TrunklineError(
    'CODEC_UNSUPPORTED',
    'The installed libopus-wasm is not the build that trunkline knows; install libopus-wasm 0.2.0.',
  );
}

/** The bytes of the string literal in single quotes whose content begins at `start`. */
function unescaped(text: string, start: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length - start);
  let count = 0;
  for (let i = start; i < text.length && text[i] !== "'"; i++) {
    if (text[i] !== '\\') bytes[count++] = text.charCodeAt(i);
    else bytes[count++] = ESCAPED[text[++i] as string] ?? text.charCodeAt(i);
  }
  return bytes.slice(0, count);
}

const ESCAPED: Readonly<Record<string, number>> = { n: 10, r: 13 };
