import process from 'node:process';
import type { Load, Timetable } from './plan.js';
import type { Usage } from './usage.js';

/** What the processes of one run tell each other over Node's IPC channel. */

/** What is measured: the real node, or something to compare it with. */
export type SubjectKind = 'node' | 'bareWs' | 'tutorial';

export interface GeneratorSettings {
  readonly load: Load;
}

export interface SubjectSettings {
  readonly load: Load;
  readonly apiUrl: string;
  readonly mediaUrl: string;
  /** A folder of this run's own. */
  readonly out: string;
  readonly record: boolean;
  readonly native: 'off' | 'auto' | 'require';
}

/** From the orchestrator. */
export type Order =
  | { readonly kind: 'generate'; readonly settings: GeneratorSettings }
  | { readonly kind: 'connect'; readonly settings: SubjectSettings }
  | { readonly kind: 'begin'; readonly timetable: Timetable }
  | { readonly kind: 'stop' };

/** To the orchestrator. */
export type Answer =
  | { readonly kind: 'listening'; readonly port: number }
  /** Every interaction has been subscribed to; when each is due within a tick. */
  | { readonly kind: 'subscribed'; readonly phaseUs: Float64Array }
  | { readonly kind: 'generated'; readonly report: GeneratorReport }
  | { readonly kind: 'measured'; readonly report: SubjectReport }
  | { readonly kind: 'decoded'; readonly cpuMicrosPerPacket: number }
  | { readonly kind: 'failed'; readonly message: string };

export interface GeneratorReport {
  /** Packets of the steady window that were written to a socket. */
  readonly packetsSent: number;
  /** Packets of the steady window that were not, because their client had left a whole second unread. */
  readonly packetsWithheld: number;
  /** How late each write was, encoded; see histogram.ts. */
  readonly lateness: string;
  readonly cpuMicrosPerPacket: number;
}

export interface SubjectReport {
  readonly backend: string;
  readonly usage: Usage;
  /** Packets of the steady window that came through. */
  readonly packetsDelivered: number;
  /** Packets that came through between the two readings of the CPU clock. */
  readonly packetsWhileMeasured: number;
  /** What became of the others, as far as the subject knows; by name of the counter, zeros left out. */
  readonly losses: Readonly<Record<string, number>>;
  /** Beyond the hold, encoded; absent where a subject does not look at its packets. */
  readonly delivered?: string;
  readonly processed?: string;
}

export function tell(answer: Answer): void {
  process.send?.(answer);
}

/** Runs one role of a forked process: orders in, answers out, and no way to fail in silence. */
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
  // Without an orchestrator there is nobody left to measure for.
  process.on('disconnect', () => process.exit());
}
