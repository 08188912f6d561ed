import { TrunklineError } from '../../src/core/errors.js';
import { US_PER_MS, US_PER_SECOND } from '../../src/core/units.js';
import type { Load, LoadCodec, SourceName, WriteUnit } from './load/plan.js';
import { BASELINES, type Baseline, type Consumer } from './processes/messages.js';
import { SOURCES } from './sources.js';

/** By the word of the command line. */
const WANTED = { none: [], bareWs: ['bareWs'], plain: ['plain'], all: BASELINES } as const;

/** What `bench capacity` is asked for. */
export interface CapacityOptions {
  readonly source: SourceName;
  /** Numbers of streams to run, one after the other. */
  readonly sweep: readonly number[];
  readonly codec: LoadCodec;
  /** Length of a packet, where it can be chosen; else the source's. */
  readonly frameMs?: number | undefined;
  /** Sessions opened a second, where the load is what connects. */
  readonly openRate: number;
  /** What a write of the generator holds, where the load is a subscription. */
  readonly writes: WriteUnit;
  readonly record: boolean;
  /** Encrypt what is recorded, for nobody; `plain` is then the node that records without encryption. */
  readonly encrypt: boolean;
  /** Give the node its control server, and scrape its metrics; `plain` is the node without. */
  readonly scrape: boolean;
  /** Give the node its control server, and so many clients of its event stream and listeners to live audio. */
  readonly eventClients: number;
  readonly listeners: number;
  /** Give the node its control server, and so many consoles, each open on the table and on one call that it plays. */
  readonly consoles: number;
  /** Who takes the audio that a subscription's node decodes. */
  readonly consumer: Consumer;
  /** Length of the steady window. */
  readonly seconds: number;
  /** Load before the window, for the compilers to finish and the heap to settle. */
  readonly warmup: number;
  /** Rounds of node and baselines in turn; their medians are reported. */
  readonly repeat: number;
  /** Where the node under test is the plain one itself, there is no `plain` to compare it with. */
  readonly baselines: keyof typeof WANTED;
  readonly native: 'off' | 'auto' | 'require';
  /** Too short to measure anything: the report says so. */
  readonly smoke: boolean;
  /** Folder for CPU profiles of the node's threads. Profiling costs CPU: the figures are then worth nothing. */
  readonly profile?: string | undefined;
}

export const CAPACITY_DEFAULTS: CapacityOptions = {
  source: 'subscription',
  sweep: [1000],
  codec: 'pcmu',
  openRate: 200,
  writes: 'connection',
  record: false,
  encrypt: false,
  scrape: false,
  eventClients: 0,
  listeners: 0,
  consoles: 0,
  consumer: 'chunks',
  seconds: 10,
  warmup: 4,
  repeat: 5,
  baselines: 'all',
  native: 'auto',
  smoke: false,
};

/** Long enough to show that everything works, too short to say how fast. */
export const SMOKE_OPTIONS: CapacityOptions = {
  ...CAPACITY_DEFAULTS,
  sweep: [20],
  seconds: 1,
  warmup: 1,
  repeat: 1,
  smoke: true,
};

/** What is to be measured at one number of streams. */
export interface Undertaking {
  readonly load: Load;
  readonly baselines: readonly Baseline[];
  /** Both in whole ticks. */
  readonly warmupUs: number;
  readonly steadyUs: number;
}

/** @throws TrunklineError CONFIG_INVALID for what the source cannot do. */
export function undertakingOf(options: CapacityOptions, streams: number): Undertaking {
  const { source, codec, openRate, frameMs, writes } = options;
  const { defaultTickMs, baselines } = SOURCES[source];
  if (source === 'audiohook' && codec !== 'pcmu') throw invalid('AudioHook is measured with PCMU; leave --codec out.');
  if (source === 'subscription' && frameMs !== undefined && frameMs !== defaultTickMs) {
    throw invalid(`Media packets have ${defaultTickMs} ms; --frame-ms is for --source audiohook.`);
  }
  if (source === 'audiohook' && options.consumer !== CAPACITY_DEFAULTS.consumer) {
    throw invalid('--consumer is for --source subscription; nobody takes the audio of AudioHook.');
  }
  const tickUs = (frameMs ?? defaultTickMs) * US_PER_MS;
  const wholeTicks = (seconds: number): number => Math.ceil((seconds * US_PER_SECOND) / tickUs) * tickUs;
  const [warmupUs, steadyUs] = [wholeTicks(options.warmup), wholeTicks(options.seconds)];
  if (options.encrypt && !options.record) throw invalid('Only what is recorded can be encrypted: add --record.');
  const wanted: readonly Baseline[] = WANTED[options.baselines];
  const hasControl = options.scrape || options.eventClients + options.listeners + options.consoles > 0;
  const isPlain = !options.record && !hasControl && options.native !== 'off';
  return {
    load: { source, streams, codec, tickUs, openRate, writes },
    baselines: baselines.filter((kind) => wanted.includes(kind) && !(kind === 'plain' && isPlain)),
    warmupUs,
    steadyUs,
  };
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message);
}
