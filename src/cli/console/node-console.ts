import process from 'node:process';
import type { LoadedConfig } from '../../config/load.js';
import type { FrameSink, FrameView, StreamInfo } from '../../core/events.js';
import type { AudioNode } from '../../node/audio-node.js';
import type { NodeStats } from '../../node/node-stats.js';
import { Metrics } from '../../sinks/metrics/metrics.js';
import { LiveTable, type TableRow } from './live-table.js';
import { createLogger, type Logger, logsText } from './logger.js';

const TABLE_MS = 250;

interface Live {
  readonly info: StreamInfo;
  meanSquare: number;
  silent: boolean;
  lost: boolean;
  packets: number;
  lostPackets: number;
  samples: number;
  ended: boolean;
}

/** Keeps, of each stream, what a table row shows. */
class LiveRows implements FrameSink {
  readonly #byId = new Map<string, Live>();
  readonly #node: AudioNode;

  constructor(node: AudioNode) {
    this.#node = node;
  }

  streamOpened(info: StreamInfo): void {
    this.#byId.set(info.interactionId, {
      info,
      meanSquare: 0,
      silent: true,
      lost: false,
      packets: 0,
      lostPackets: 0,
      samples: 0,
      ended: false,
    });
  }

  frame(frame: FrameView): void {
    const live = this.#byId.get(frame.info.interactionId);
    if (live === undefined) return;
    live.meanSquare = frame.meanSquare;
    live.silent = frame.isSilent;
    live.lost = frame.lost;
    live.samples = Math.max(live.samples, frame.positionSamples + frame.sampleCount);
  }

  streamEnded(info: StreamInfo, summary: { packetsReceived: number; packetsLost: number }): void {
    const live = this.#byId.get(info.interactionId);
    if (live === undefined) return;
    live.ended = true;
    live.packets = summary.packetsReceived;
    live.lostPackets = summary.packetsLost;
  }

  rows(): TableRow[] {
    return [...this.#byId.values()].map((live) => this.#row(live));
  }

  #row(live: Live): TableRow {
    const { info } = live;
    const counts = live.ended ? undefined : this.#node.streamCounts(info.interactionId);
    const packets = counts?.packetsReceived ?? live.packets;
    const lost = counts?.packetsLost ?? live.lostPackets;
    const sounding = live.lost ? 'lost' : live.silent ? 'silence' : 'speech';
    return {
      interactionId: info.interactionId,
      codec: info.codec,
      state: live.ended ? 'ended' : sounding,
      level: live.ended ? 0 : Math.sqrt(live.meanSquare),
      packets,
      lostPercent: packets + lost > 0 ? (100 * lost) / (packets + lost) : 0,
      seconds: live.samples / info.sampleRate,
    };
  }
}

/** The figures of the metrics line; rates and loss of the last five seconds, the rest since the start. */
function metricsFields({ streams, counts, drops, refused, throughput, deliveredMicros, backend }: NodeStats): object {
  const { packetsPerSecond, bytesPerSecond, packetLossRate } = throughput.recent;
  const { packetsReceived, packetsLost, packetsLate } = counts;
  const latencyMicros = { p50: deliveredMicros.p50, p99: deliveredMicros.p99 };
  const rates = { packetsPerSecond, bytesPerSecond, packetLossRate };
  return { streams, ...rates, packetsReceived, packetsLost, packetsLate, latencyMicros, drops, refused, backend };
}

/** What a person sees of a running node: a table on a terminal, the metrics line and the log, all on stderr. */
export class NodeConsole {
  /** The node logs to it. */
  readonly logger: Logger;
  readonly #metricsSeconds: number;
  readonly #isJson: boolean;
  readonly #table: LiveTable;
  readonly #timers: NodeJS.Timeout[] = [];
  /** Draws the table a last time; only on a terminal, and only when there were calls. */
  #drawEnd: (() => void) | undefined;

  constructor({ config, warnings }: LoadedConfig) {
    this.#metricsSeconds = config.metricsSeconds;
    this.#isJson = !logsText(config);
    this.#table = new LiveTable(process.stderr);
    this.logger = createLogger(config, { write: (line) => this.#table.writeAbove(line) });
    for (const warning of warnings) this.logger.warn(warning);
  }

  /** Shows the node until close(). */
  watch(node: AudioNode): void {
    if (process.stderr.isTTY === true) {
      const rows = new LiveRows(node);
      void node.addSink(rows);
      const draw = (): void => this.#table.update(rows.rows(), node.metricsLine());
      this.#every(TABLE_MS, draw);
      this.#drawEnd = () => rows.rows().length > 0 && draw();
    } else if (this.#metricsSeconds > 0) {
      this.#every(this.#metricsSeconds * 1000, () => this.#logMetrics(node));
    }
  }

  /** Keeps the address of the web console in sight, below the table. */
  showAddress(url: string): void {
    this.#table.notice = `Console: ${url}`;
  }

  /** May be called again. The table that stays on the terminal is that of the end. */
  close(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#drawEnd?.();
    this.#table.close();
  }

  #logMetrics(node: AudioNode): void {
    // One reading for both: rates read a moment later may cover another period.
    const stats = node.stats();
    const line = Metrics.line(stats, stats.refused);
    // On a terminal the line has the figures already.
    if (this.#isJson) this.logger.info(metricsFields(stats), line);
    else this.logger.info(line);
  }

  #every(ms: number, act: () => void): void {
    this.#timers.push(setInterval(act, ms).unref());
  }
}
