import { type Clock, systemClock } from '../../core/clock.js';
import type { FrameSink, FrameView, ReceptionCounts } from '../../core/events.js';
import { type Latency, LatencyHistogram } from './latency.js';
import { type Throughput, ThroughputMeter } from './throughput.js';

export { LATENCY_BOUNDS_US, type Latency } from './latency.js';
export type { Rates, Throughput } from './throughput.js';

/** What a snapshot needs from elsewhere. */
export interface MetricsContext {
  /** Of all streams since the start, ended ones included. */
  readonly counts: ReceptionCounts;
  /** Frames that monitors, the audit or the recorder were too slow for, packets that found a ring full. */
  readonly drops: number;
  readonly backend: string;
}

export interface MetricsSnapshot {
  readonly streams: number;
  readonly streamsOpened: number;
  readonly framesDelivered: number;
  readonly framesSilent: number;
  readonly framesConcealed: number;
  /** Of those concealed, the ones whose packet never arrived in time. */
  readonly framesLost: number;
  readonly decodeErrors: number;
  readonly counts: ReceptionCounts;
  readonly drops: number;
  readonly throughput: Throughput;
  /** From the packet's arrival, the jitter buffer's hold included. */
  readonly processedMicros: Latency;
  readonly deliveredMicros: Latency;
  readonly backend: string;
}

/**
 * Counts frames, and how long they took from the packet's arrival to the end of decoding and to delivery here. Costs
 * two histogram entries a frame.
 */
export class Metrics implements FrameSink {
  readonly #clock: Clock;
  readonly #processed = new LatencyHistogram();
  readonly #delivered = new LatencyHistogram();
  readonly #meter = new ThroughputMeter();
  #streams = 0;
  #streamsOpened = 0;
  #frames = 0;
  #silent = 0;
  #concealed = 0;
  #lost = 0;
  #decodeErrors = 0;

  constructor(options: { readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock;
  }

  streamOpened(): void {
    this.#streams++;
    this.#streamsOpened++;
    this.#meter.start(this.#clock.nowUs());
  }

  frame(frame: FrameView): void {
    this.#frames++;
    if (frame.isSilent) this.#silent++;
    if (frame.concealed) this.#concealed++;
    if (frame.decodeError) this.#decodeErrors++;
    // A lost packet never arrived, so nothing took its time.
    if (frame.lost) {
      this.#lost++;
      return;
    }
    const { arrivalUs } = frame;
    this.#processed.record(frame.processedUs - arrivalUs);
    this.#delivered.record(frame.deliveredUs - arrivalUs);
  }

  streamEnded(): void {
    this.#streams--;
  }

  /** Rates since the first stream and of the last five seconds, given what has been received in all. */
  throughput(nowUs: number, counts: ReceptionCounts): Throughput {
    return this.#meter.read(nowUs, counts);
  }

  /** From arrival to the end of decoding. */
  processedLatency(): Latency {
    return this.#processed.read();
  }

  /** From arrival to this sink. */
  deliveredLatency(): Latency {
    return this.#delivered.read();
  }

  /** The 99th percentile of the delivered latency since the last call, in microseconds. For one reader only. */
  recentDeliveredP99(): number {
    return this.#delivered.readRecent(99);
  }

  snapshot(nowUs: number, context: MetricsContext): MetricsSnapshot {
    return {
      streams: this.#streams,
      streamsOpened: this.#streamsOpened,
      framesDelivered: this.#frames,
      framesSilent: this.#silent,
      framesConcealed: this.#concealed,
      framesLost: this.#lost,
      decodeErrors: this.#decodeErrors,
      counts: context.counts,
      drops: context.drops,
      throughput: this.throughput(nowUs, context.counts),
      processedMicros: this.processedLatency(),
      deliveredMicros: this.deliveredLatency(),
      backend: context.backend,
    };
  }

  /** One line for people: rates of the last five seconds, the rest since the start. */
  static line(snapshot: MetricsSnapshot, refused: Readonly<Record<string, number>> = {}): string {
    const { streams, counts, drops, throughput, deliveredMicros, backend } = snapshot;
    const { packetsPerSecond, bytesPerSecond, packetLossRate } = throughput.recent;
    return [
      `[METRICS] streams: ${streams}`,
      `PPS: ${packetsPerSecond.toFixed(1)}`,
      `${(bytesPerSecond / 1e3).toFixed(1)} kB/s`,
      `loss: ${(packetLossRate * 100).toFixed(2)}%`,
      `late: ${counts.packetsLate}`,
      `latency: p50 ${milliseconds(deliveredMicros.p50)} p99 ${milliseconds(deliveredMicros.p99)}`,
      `drops: ${drops}`,
      ...refusedText(refused),
      `backend: ${backend}`,
    ].join('  ');
  }
}

function milliseconds(us: number): string {
  return `${(us / 1e3).toFixed(1)} ms`;
}

/** Reasons that the line names; the rest is in stats(). */
const MAX_REASONS = 5;

function refusedText(refused: Readonly<Record<string, number>>): string[] {
  const reasons = Object.entries(refused);
  if (reasons.length === 0) return [];
  const named = reasons.slice(0, MAX_REASONS).map(([reason, count]) => `${reason} ${count}`);
  const more = reasons.length > MAX_REASONS ? [`${reasons.length - MAX_REASONS} more`] : [];
  return [`refused: ${[...named, ...more].join(', ')}`];
}
