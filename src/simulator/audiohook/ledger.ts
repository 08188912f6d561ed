import type { AudioHookSound, HookChannel, HookFormat } from './sound.js';

/** A stretch of a call's time line. `sourceSamples` is its place in the sound, which is played in a loop. */
export interface HookStretch {
  readonly kind: 'audio' | 'paused' | 'discarded';
  readonly startSamples: number;
  lengthSamples: number;
  readonly sourceSamples: number;
}

/** One call: what was sent, what was kept back and why, and what the server said. */
export interface AudioHookCallLedger {
  readonly conversationId: string;
  readonly participantId: string;
  /** More than one when the call was reconnected. */
  readonly sessionIds: string[];
  outcome: 'closed' | 'lost' | 'refused' | 'failed';
  /** HTTP status when it was refused. */
  status?: number;
  /** Why there was no connection, when it failed. */
  error?: string;
  media?: { readonly format: HookFormat; readonly channels: readonly HookChannel[] };
  framesSent: number;
  bytesSent: number;
  /** Samples sent, of one channel. */
  samplesSent: number;
  /** Length of the time line, stretches not sent included. */
  positionSamples: number;
  readonly stretches: HookStretch[];
  /** Messages of the server by type. */
  readonly received: Record<string, number>;
  disconnect?: { reason: string; info?: string };
  /** Messages of the server that broke the protocol: numbers out of step, a wrong id, missing parameters, an answer to nothing. */
  readonly violations: string[];
  /** From the sending of `open` to `opened`. */
  openedMs?: number;
  /** From the sending of `close` to `closed`. */
  closedMs?: number;
}

export interface LatencyMs {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface AudioHookClientLedger {
  readonly calls: readonly AudioHookCallLedger[];
  readonly outcomes: Readonly<Record<AudioHookCallLedger['outcome'], number>>;
  readonly framesSent: number;
  readonly bytesSent: number;
  readonly violations: number;
  /** From when a ping was due to its pong. */
  readonly ping: LatencyMs;
  /** From its sending to its pong: without what this client itself was late. */
  readonly roundTrip: LatencyMs;
  /** From when a call was due to `opened`, the connection included. */
  readonly opened: LatencyMs;
}

/** Adds a stretch to the time line; one of the same kind that goes on is made longer. */
export function addStretch(
  ledger: AudioHookCallLedger,
  kind: HookStretch['kind'],
  lengthSamples: number,
  sourceSamples: number,
): void {
  const last = ledger.stretches.at(-1);
  const isNext = last !== undefined && last.sourceSamples + last.lengthSamples === sourceSamples;
  // What was not sent has no place in the sound that could matter.
  const goesOn = last?.kind === kind && (isNext || kind !== 'audio');
  if (last !== undefined && goesOn) last.lengthSamples += lengthSamples;
  else ledger.stretches.push({ kind, startSamples: ledger.positionSamples, lengthSamples, sourceSamples });
  ledger.positionSamples += lengthSamples;
}

/** What a recording of one side of the call must hold, sample for sample: stretches not sent are silence. */
export function expectedPcm(ledger: AudioHookCallLedger, sound: AudioHookSound, channel: HookChannel): Int16Array {
  const pcm = new Int16Array(ledger.positionSamples);
  const { media } = ledger;
  if (media === undefined || !media.channels.includes(channel)) return pcm;
  const source = sound.decoded(media.format, channel);
  for (const { kind, startSamples, lengthSamples, sourceSamples } of ledger.stretches) {
    if (kind !== 'audio') continue;
    for (let i = 0; i < lengthSamples; i++) pcm[startSamples + i] = source[(sourceSamples + i) % source.length] ?? 0;
  }
  return pcm;
}
