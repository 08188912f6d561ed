import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../core/clock.js';
import { messageOf, TrunklineError } from '../core/errors.js';
import { LAYOUT_VERSION } from '../ring/layout.js';
import type { RingPlace } from '../ring/ring.js';
import type { ShardBackend } from '../shard/backend.js';
import type { ShardData } from '../shard/shard-data.js';

/** What native/src/lib.rs and native/src/media.rs export. */
export interface Addon {
  readonly LAYOUT_VERSION: number;
  readonly NativeShard: new (memory: Uint8Array, places: AddonPlaces) => AddonShard;
  readonly NativeRoster: new (
    ids: Uint8Array,
    lengths: Uint8Array,
    buckets: Int16Array,
    flowing: Uint8Array,
  ) => AddonInteractionTable;
  readonly NativeMediaReader: new (arena: Uint8Array, packets: object) => AddonMediaReader;
  readonly OpusLoop: new (sampleRate: number, decoders: number) => AddonOpusLoop;
}

/** Nothing can be asked of it: it is for read() alone. */
export type AddonInteractionTable = object;

export interface AddonMediaReader {
  read(bytes: Uint8Array, from: number, to: number, roster: AddonInteractionTable, at: number, most: number): number;
}

/** A plain loop over the decoder of the Rust path, with nothing around it: what benchmarks compare shards with. */
export interface AddonOpusLoop {
  /** One packet for each decoder in turn, round after round; they lie back to back. Returns how many were decoded. */
  run(packets: Uint8Array, lengths: Uint32Array): number;
}

type AddonRing = Pick<RingPlace, 'offset' | 'capacity'>;

interface AddonPlaces {
  readonly control: number;
  readonly counters: number;
  readonly input: AddonRing;
  readonly output: AddonRing;
  readonly recorder?: AddonRing;
  readonly table: number;
  readonly streams: number;
  readonly silenceThreshold: number;
  readonly silenceWindowMs: number;
}

interface AddonShard {
  reopen(stream: number): void;
  tellTime(nowUs: number): void;
  drain(most: number): number;
  close(): void;
}

/** How often it is told the time, for once at least to be told without delay. */
const TIME_TOLD = 50;

/** The Rust path: the adapter is thin, since everything lies in the shared memory. */
class NativeShard implements ShardBackend {
  readonly name = 'native';
  readonly #shard: AddonShard;

  constructor(addon: Addon, data: ShardData) {
    this.#shard = new addon.NativeShard(new Uint8Array(data.memory), {
      control: data.control.offset,
      counters: data.counters.offset,
      input: data.input,
      output: data.output,
      ...(data.recorder && { recorder: data.recorder }),
      table: data.streamTable.offset,
      streams: data.streamTable.capacity,
      silenceThreshold: data.silence.threshold,
      silenceWindowMs: data.silence.windowMs,
    });
    for (let i = 0; i < TIME_TOLD; i++) this.#shard.tellTime(systemClock.nowUs());
  }

  reopen(stream: number): void {
    this.#shard.reopen(stream);
  }

  drain(most: number): number {
    return this.#shard.drain(most);
  }

  close(): void {
    this.#shard.close();
  }
}

/** The C libraries that a platform's binary may be built for; whichever fits is installed. */
const ABIS: Partial<Record<NodeJS.Platform, readonly string[]>> = { linux: ['-gnu', '-musl'], win32: ['-msvc'] };

/** Where the addon may be: the build of this checkout (or package) first, then the package of the platform. */
function candidates(): string[] {
  // From src/native, or from dist/src/native.
  const root = new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url);
  const platforms = (ABIS[process.platform] ?? ['']).map((abi) => `${process.platform}-${process.arch}${abi}`);
  return [
    ...platforms.map((platform) => fileURLToPath(new URL(`native/trunkline.${platform}.node`, root))),
    ...platforms.map((platform) => `trunkline-${platform}`),
  ];
}

/**
 * The Rust path for one shard.
 * @throws TrunklineError NATIVE_UNAVAILABLE when there is no native module for this machine, or only one that does not
 * load or was built for another ring layout.
 */
export function createNativeShard(data: ShardData): ShardBackend {
  return new NativeShard(loadAddon(), data);
}

/**
 * The native module.
 * @throws TrunklineError NATIVE_UNAVAILABLE, as createNativeShard().
 */
export function loadAddon(): Addon {
  const require = createRequire(import.meta.url);
  let refused: unknown;
  for (const candidate of candidates()) {
    let addon: Addon;
    try {
      addon = require(candidate);
    } catch (thrown) {
      if (!isMissing(thrown)) refused ??= thrown;
      continue;
    }
    if (addon.LAYOUT_VERSION === LAYOUT_VERSION) return addon;
    refused ??= new Error(`it has ring layout ${addon.LAYOUT_VERSION}, trunkline ${LAYOUT_VERSION}`);
  }
  const why = refused === undefined ? 'there is none for this machine' : messageOf(refused);
  throw new TrunklineError(
    'NATIVE_UNAVAILABLE',
    `The native module cannot be used: ${why}. Build it with \`npm run build\` (needs cargo and cmake), or set native to auto or off.`,
    { cause: refused },
  );
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'MODULE_NOT_FOUND';
}
