import { randomUUID } from 'node:crypto';
import { build, type Histogram } from 'hdr-histogram-js';
import { type Clock, systemClock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { US_PER_MS, US_PER_SECOND } from '../../core/units.js';
import { AudioHookCall, type HookRun } from './call.js';
import type { AudioHookClientLedger, LatencyMs } from './ledger.js';
import type { ProtocolFault } from './protocol-faults.js';
import type { HookMedia, HookScript, HookScriptStretch } from './script.js';
import { AudioHookSound } from './sound.js';

export interface AudioHookClientOptions {
  /** `ws://` or `wss://`, with path. */
  readonly url: string;
  readonly apiKey: string;
  /** Base64; without it requests are not signed. */
  readonly clientSecret?: string;
  readonly organizationId?: string;
  readonly sessions: number;
  /** New sessions a second; 200 when absent. */
  readonly rate?: number;
  /** Length of each call. */
  readonly seconds: number;
  readonly frameMs?: number;
  /** What is offered, in this order; PCMU stereo, then each side alone, when absent. */
  readonly media?: readonly HookMedia[];
  /** 8 kHz, 16 bits, one or two channels; generated sound when absent. */
  readonly wav?: string;
  readonly sound?: AudioHookSound;
  readonly seed?: number;
  /** Times faster than real time; 1 when absent. */
  readonly speed?: number;
  readonly burstSeconds?: number;
  readonly pauses?: readonly HookScriptStretch[];
  readonly discards?: readonly HookScriptStretch[];
  readonly lossAtSeconds?: number;
  readonly rejoin?: boolean;
  readonly pingSeconds?: number;
  readonly probe?: boolean;
  readonly fault?: ProtocolFault;
  /** Script of call number `index` where it differs from the above. */
  readonly vary?: (index: number) => Partial<HookScript>;
  /** Accept a self-signed certificate. */
  readonly insecure?: boolean;
  /** Ends all calls properly, early. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

const DEFAULT_MEDIA: readonly HookMedia[] = [
  { format: 'PCMU', channels: ['external', 'internal'] },
  { format: 'PCMU', channels: ['external'] },
  { format: 'PCMU', channels: ['internal'] },
];
const TICK_MS = 5;

/**
 * Makes calls as Genesys Cloud does, by the clock and in an open loop: what is due is due, however busy the server is.
 * Resolves when the last call is over, with ledger of everything that was sent and answered.
 * @throws TrunklineError CONFIG_INVALID, FILE_INVALID. What happens to a call stands in its ledger instead.
 */
export function runAudioHookClient(options: AudioHookClientOptions): Promise<AudioHookClientLedger> {
  const clock = options.clock ?? systemClock;
  const script = scriptOf(options);
  const sound =
    options.sound ??
    (options.wav === undefined ? AudioHookSound.generated(options.seed ?? 1) : AudioHookSound.fromWav(options.wav));
  const pings = latencyHistogram();
  const roundTrips = latencyHistogram();
  const openings = latencyHistogram();

  return new Promise((resolve) => {
    let live = options.sessions;
    const run: HookRun = {
      clock,
      url: urlOf(options.url),
      organizationId: options.organizationId ?? randomUUID(),
      apiKey: options.apiKey,
      clientSecret: options.clientSecret,
      sound,
      rejectUnauthorized: options.insecure !== true,
      // Ids must differ between runs against the same server; only the sound is seeded.
      newId: randomUUID,
      pong: (latencyUs, roundTripUs) => {
        pings.recordValue(Math.max(1, Math.round(latencyUs)));
        roundTrips.recordValue(Math.max(1, Math.round(roundTripUs)));
      },
      opened: (latencyUs) => openings.recordValue(Math.max(1, Math.round(latencyUs))),
      ended: () => {
        live -= 1;
        if (live === 0) finish();
      },
    };
    const startUs = clock.nowUs();
    const spacingUs = US_PER_SECOND / (options.rate ?? 200);
    const calls = Array.from({ length: options.sessions }, (_, i) => {
      const source = (i * 7919) % sound.lengthSamples;
      return new AudioHookCall(run, { ...script, ...options.vary?.(i) }, startUs + i * spacingUs, source);
    });
    const ticker = setInterval(() => {
      const nowUs = clock.nowUs();
      for (const call of calls) if (!call.over) call.tick(nowUs);
    }, TICK_MS);
    const onAbort = (): void => {
      for (const call of calls) call.hangUp();
    };
    options.signal?.addEventListener('abort', onAbort);

    function finish(): void {
      clearInterval(ticker);
      options.signal?.removeEventListener('abort', onAbort);
      resolve(sumUp(calls, pings, roundTrips, openings));
    }
  });
}

function scriptOf(options: AudioHookClientOptions): HookScript {
  if (!(options.sessions >= 1) || !(options.seconds > 0)) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      'An AudioHook client needs at least one session and a length above 0 s.',
    );
  }
  return {
    seconds: options.seconds,
    frameMs: options.frameMs ?? 200,
    media: options.media ?? DEFAULT_MEDIA,
    speed: options.speed ?? 1,
    burstSeconds: options.burstSeconds ?? 0,
    pauses: options.pauses ?? [],
    discards: options.discards ?? [],
    lossAtSeconds: options.lossAtSeconds,
    rejoin: options.rejoin ?? false,
    pingSeconds: options.pingSeconds ?? 5,
    probe: options.probe ?? false,
    fault: options.fault,
  };
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^wss?:$/.test(url.protocol)) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `${text} is no WebSocket address; give ws://host:port/path or wss://host/path.`,
    );
  }
  return url;
}

function latencyHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600 * US_PER_SECOND,
    numberOfSignificantValueDigits: 3,
  });
}

function sumUp(
  calls: readonly AudioHookCall[],
  pings: Histogram,
  roundTrips: Histogram,
  openings: Histogram,
): AudioHookClientLedger {
  const outcomes = { closed: 0, lost: 0, refused: 0, failed: 0 };
  let framesSent = 0;
  let bytesSent = 0;
  let violations = 0;
  for (const { ledger } of calls) {
    outcomes[ledger.outcome] += 1;
    framesSent += ledger.framesSent;
    bytesSent += ledger.bytesSent;
    violations += ledger.violations.length;
  }
  const all = calls.map(({ ledger }) => ledger);
  const latencies = { ping: latency(pings), roundTrip: latency(roundTrips), opened: latency(openings) };
  return { calls: all, outcomes, framesSent, bytesSent, violations, ...latencies };
}

function latency(histogram: Histogram): LatencyMs {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / US_PER_MS;
  return { count: histogram.totalCount, p50: at(50), p99: at(99), p999: at(99.9), max: histogram.maxValue / US_PER_MS };
}
