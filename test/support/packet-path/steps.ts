import type { Codec } from '../../../src/core/codec.js';

/** One act on the packet path. Any selection of a script's steps, in order, is a script again: that is how one is shrunk. */
export type Step =
  /** Bytes that a connection will read; whole frames as a rule. `what` says what they are, for the report. */
  | { readonly does: 'arrive'; readonly connection: number; readonly bytes: Uint8Array; readonly what: string }
  /** The socket reads at most `bytes` of what has arrived. */
  | { readonly does: 'read'; readonly connection: number; readonly bytes: number }
  /** The turn of the event loop ends. */
  | { readonly does: 'turn' }
  /** Time passes; the engine's timer does what is due then. */
  | { readonly does: 'wait'; readonly us: number }
  /** A shard takes at most `records` out of its input ring. */
  | { readonly does: 'take'; readonly shard: number; readonly records: number }
  | { readonly does: 'pause'; readonly call: number }
  /** Lets out again what arrives later than `agoUs` before now. */
  | { readonly does: 'resume'; readonly call: number; readonly agoUs: number }
  /** The connection broke and was replaced. */
  | { readonly does: 'interrupt'; readonly call: number }
  | { readonly does: 'end'; readonly call: number };

/** A call as its platform announces it. */
export interface ScriptCall {
  readonly id: string;
  readonly codec: Codec;
  readonly channels: 1 | 2;
  readonly connection: number;
}

/** What a script runs on: small numbers let rings and tables fill and wrap all the time. */
export interface PathSizes {
  readonly shards: number;
  readonly maxStreams: number;
  /** Rows of the jitter buffer, a power of two. */
  readonly packets: number;
  readonly arenaBytes: number;
  readonly inputRingBytes: number;
  readonly isRecording: boolean;
  /** A source's turn releases what is due at most so often, as Engine.submit() does; the timer always does. */
  readonly pumpEveryUs: number;
  readonly playoutDelay: 'adaptive' | 'fixed';
  readonly playoutDelayMs: number;
  readonly minPlayoutDelayMs: number;
  readonly maxPlayoutDelayMs: number;
}

export interface Script {
  readonly seed: number;
  /** What the seed has chosen, in words. */
  readonly title: string;
  readonly sizes: PathSizes;
  /**
   * One channel alone, and a turn for each frame, so that rings may be small and shards slow. With several channels, which
   * packet finds no space in a full ring would depend on their order, which stands within each channel only.
   */
  readonly isSerial: boolean;
  readonly connections: number;
  readonly calls: readonly ScriptCall[];
  readonly steps: readonly Step[];
}

/** A step in one line. */
export function stepText(step: Step): string {
  switch (step.does) {
    case 'arrive':
      return `arrive on ${step.connection}: ${step.what}`;
    case 'read':
      return `read ${Number.isFinite(step.bytes) ? `${step.bytes} bytes` : 'everything'} on ${step.connection}`;
    case 'turn':
      return 'the turn ends';
    case 'wait':
      return `wait ${step.us} µs`;
    case 'take':
      return `shard ${step.shard} takes ${step.records} records`;
    case 'resume':
      return `resume call ${step.call} from ${step.agoUs} µs ago`;
    default:
      return `${step.does} call ${step.call}`;
  }
}
