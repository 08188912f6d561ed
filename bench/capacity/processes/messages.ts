import process from 'node:process';
import type { Load, Timetable } from '../load/plan.js';
import type { Usage } from './usage.js';

/** What the processes of one run tell each other over Node's IPC channel. */

/**
 * `plain` is the node itself, on the native path, not recording and without control server: what each of these costs or
 * saves. Where recordings are encrypted, it is the same node without that.
 */
export const BASELINES = ['bareWs', 'tutorial', 'plain'] as const;
/** Something to compare the node with. */
export type Baseline = (typeof BASELINES)[number];

/** What is measured: the real node, or a baseline. */
export type SubjectKind = 'node' | Baseline;

/** What decodes Opus: the Rust path's, or the JavaScript path's in WebAssembly. */
export type OpusImplementation = 'libopus' | 'webassembly';

/**
 * Who takes the audio of a node: nobody; a sink that looks at each frame of speech where it lies; a listener of
 * `mediaChunk`; one of `chunks`, which has many at a time.
 */
export const CONSUMERS = ['none', 'views', 'chunks', 'batches'] as const;
export type Consumer = (typeof CONSUMERS)[number];

export interface SubjectSettings {
  readonly kind: SubjectKind;
  readonly load: Load;
  /** A folder of this run's own. */
  readonly out: string;
  readonly record: boolean;
  /** Encrypted, where it is recorded. */
  readonly encrypt: boolean;
  readonly native: 'off' | 'auto' | 'require';
  /** With a control server, whose metrics are scraped. */
  readonly scrape: boolean;
  /** With a control server, and so many clients of it in another process. */
  readonly eventClients: number;
  readonly listeners: number;
  readonly consoles: number;
  readonly consumer: Consumer;
}

/** From the orchestrator. `peer` is where the other process listens; empty for the one that listens itself. */
export type Order =
  | { readonly kind: 'generate'; readonly load: Load; readonly peer: string }
  | { readonly kind: 'receive'; readonly settings: SubjectSettings; readonly peer: string }
  | { readonly kind: 'begin'; readonly timetable: Timetable }
  | { readonly kind: 'decode'; readonly load: Load; readonly decoder: OpusImplementation }
  | { readonly kind: 'stop' };

/** To the orchestrator. */
export type Answer =
  | { readonly kind: 'listening'; readonly url: string }
  /** Every stream is there; see Timetable for `zeroUs`. */
  | { readonly kind: 'ready'; readonly zeroUs: Float64Array }
  | { readonly kind: 'generated'; readonly report: GeneratorReport }
  | { readonly kind: 'measured'; readonly report: SubjectReport }
  | { readonly kind: 'decoded'; readonly cpuMicrosPerPacket: number | undefined }
  | { readonly kind: 'failed'; readonly message: string };

export interface GeneratorReport {
  /** Packets of the steady window that were written to a socket. */
  readonly packetsSent: number;
  /** Packets of the steady window that were not: their connection was gone, or had left a whole second unread. */
  readonly packetsWithheld: number;
  /** Written since the load began. */
  readonly packetsInAll: number;
  /** Writes to sockets that those of the steady window took. */
  readonly writes: number;
  /** How late each write was, encoded; see histogram.ts. */
  readonly lateness: string;
  readonly cpuMicrosPerPacket: number;
  readonly calls?: CallsReport;
}

/** Of sessions that the generator itself opened and talked with. Histograms are encoded. */
export interface CallsReport {
  /** From `open` to `opened`. */
  readonly opened: string;
  /** From when the call was due to `opened`: connection, signature and all. */
  readonly connected: string;
  /** From when each ping of the steady window was due to its pong. */
  readonly pinged: string;
  /** What went wrong, by name, zeros left out. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface SubjectReport {
  readonly backend: string;
  /** Threads that decode, and the recorder where there is one. */
  readonly workers: number;
  readonly usage: Usage;
  /** Packets of the steady window that came through; absent where a subject does not look at its packets. */
  readonly packetsDelivered?: number;
  /** Packets that came through since the load began. */
  readonly packetsInAll: number;
  /** Packets that came through between the two readings of the CPU clock. */
  readonly packetsWhileMeasured: number;
  /** Reads of its sockets that brought them, or other bytes; absent where Node does not show its connections. */
  readonly socketReads?: number;
  readonly losses: Losses;
  /** Beyond the playout delay, encoded; absent where a subject does not look at its packets. */
  readonly delivered?: string;
  readonly processed?: string;
}

/** What became of packets that did not come through, as far as a subject knows. */
export interface Losses {
  /** How many of them its counters account for, in packets of the load. */
  readonly known: number;
  /** Every counter that stands for something gone wrong, as it is; zeros left out. */
  readonly counters: Readonly<Record<string, number>>;
}

export function tell(answer: Answer): void {
  process.send?.(answer);
}

/** Runs one role of a forked process: handles orders and reports every failure. */
export function serve(handle: (order: Order) => Promise<void> | void): void {
  const fail = (thrown: unknown): void => {
    tell({ kind: 'failed', message: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
  };
  process.on('message', (order: Order) => {
    Promise.resolve()
      .then(() => handle(order))
      .catch(fail);
  });
  process.on('uncaughtException', fail);
  // Without its orchestrator the process is of no use.
  process.on('disconnect', () => process.exit());
}
