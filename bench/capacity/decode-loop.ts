import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { OpusDecoder } from '../../src/audio/codecs/opus.js';
import { SampleMemory } from '../../src/audio/sample-memory.js';
import { systemClock } from '../../src/core/clock.js';
import { TrunklineError } from '../../src/core/errors.js';
import { US_PER_MS } from '../../src/core/units.js';
import { SpeechPayloads } from './load/payloads.js';
import type { Load } from './load/plan.js';
import type { OpusImplementation } from './processes/messages.js';
import { OPUS_SAMPLE_RATE } from './subscription/plan.js';

/** Packets of each stream that are laid out and decoded repeatedly: one second of them. */
const ROUNDS = 50;
const MAX_PACKET_SAMPLES = 5_760;

/** Packets back to back, one of each stream in turn, round after round. */
export interface Packets {
  readonly bytes: Buffer;
  readonly lengths: Uint32Array;
}

export function layOut({ codec, streams }: Pick<Load, 'codec' | 'streams'>): Packets {
  const payloads = new SpeechPayloads(codec);
  const all = Array.from({ length: streams }, (_, index) => payloads.speech(index));
  const packets = Array.from({ length: ROUNDS }, (_, round) =>
    all.map(({ payloads: loop, start }) => Buffer.from(loop[(start + round) % loop.length] as string, 'base64')),
  ).flat();
  return { bytes: Buffer.concat(packets), lengths: Uint32Array.from(packets, ({ length }) => length) };
}

export interface DecodeLoop {
  /** How many of the packets can be decoded. */
  readonly decoded: number;
  readonly cpuMicrosPerPacket: number;
}

type RunDecodeLoop = (packets: Packets, streams: number, runMs: number) => DecodeLoop;

/** Decodes the packets, each stream with a decoder of its own, in a loop that is as plain as it can be. */
export const DECODE_LOOPS: Readonly<Record<OpusImplementation, RunDecodeLoop>> = {
  libopus: loopOverLibopus,
  webassembly: loopOverWebAssembly,
};

// From bench/capacity, or from dist/bench/capacity.
const ROOT = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../../' : '../../../', import.meta.url));
const CARGO = ['run', '--release', '--quiet', '--package', 'trunkline-dsp', '--example', 'decode_loop'];

/** As the addon is built: for a named target, in whose folder libopus has been compiled by then. */
function cargoArguments(): string[] {
  const { stdout } = spawnSync('rustc', ['-vV'], { encoding: 'utf8' });
  const host = /^host: (\S+)$/m.exec(stdout ?? '')?.[1];
  return host === undefined ? CARGO : [...CARGO, '--target', host];
}

/** @throws TrunklineError NATIVE_UNAVAILABLE when cargo cannot build the loop (native/dsp/examples/decode_loop.rs). */
function loopOverLibopus({ bytes, lengths }: Packets, streams: number, runMs: number): DecodeLoop {
  const numbers = Uint32Array.of(OPUS_SAMPLE_RATE, streams, runMs, lengths.length, ...lengths);
  const input = Buffer.concat([Buffer.from(numbers.buffer), bytes]);
  const { status, stdout, stderr, error } = spawnSync('cargo', cargoArguments(), {
    cwd: ROOT,
    input,
    encoding: 'utf8',
  });
  const [decoded = Number.NaN, cpuMicrosPerPacket = Number.NaN] = (stdout ?? '').trim().split(' ').map(Number);
  if (status !== 0 || Number.isNaN(cpuMicrosPerPacket)) {
    const why = error?.message ?? stderr?.trim();
    throw new TrunklineError('NATIVE_UNAVAILABLE', `The plain loop over libopus needs cargo, which failed: ${why}`);
  }
  return { decoded, cpuMicrosPerPacket };
}

function loopOverWebAssembly({ bytes, lengths }: Packets, streams: number, runMs: number): DecodeLoop {
  const decoders = Array.from({ length: streams }, () => new OpusDecoder(OPUS_SAMPLE_RATE));
  const out = new SampleMemory(new ArrayBuffer(2 * MAX_PACKET_SAMPLES));
  const input = new SampleMemory(bytes.buffer);
  const decodeAll = (): number => {
    let at = bytes.byteOffset;
    let decoded = 0;
    for (let turn = 0; turn < lengths.length; turn++) {
      const length = lengths[turn] as number;
      const decoder = decoders[turn % streams] as OpusDecoder;
      if (decoder.decode(input, at, length, out, 0) > 0) decoded++;
      at += length;
    }
    return decoded;
  };
  const decoded = decodeAll();
  const beganUs = systemClock.nowUs();
  const before = process.cpuUsage();
  let measured = 0;
  do measured += decodeAll();
  while (systemClock.nowUs() - beganUs < runMs * US_PER_MS);
  const { user, system } = process.cpuUsage(before);
  return { decoded, cpuMicrosPerPacket: (user + system) / measured };
}
