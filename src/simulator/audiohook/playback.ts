import { US_PER_SECOND } from '../../core/units.js';
import { type AudioHookCallLedger, addStretch } from './ledger.js';
import type { HookMedia, HookScript } from './script.js';
import { type AudioHookSound, HOOK_RATE } from './sound.js';

/** Where a call's audio and its messages go. */
export interface PlaybackOutput {
  frame(bytes: Uint8Array): void;
  sendMessage(type: 'paused' | 'resumed' | 'discarded', parameters: object): void;
  nowUs(): number;
}

/** One call's time line: plays its script by the clock, and enters all of it in the ledger. */
export class HookPlayback {
  readonly #script: HookScript;
  readonly #sound: AudioHookSound;
  readonly #ledger: AudioHookCallLedger;
  readonly #output: PlaybackOutput;
  /** Where in the sound the call begins. */
  readonly #startSource: number;
  #coded: Uint8Array = new Uint8Array(0);
  #pairBytes = 1;
  /** When position 0 of the call was, or would have been. */
  #startUs = 0;
  #ownPauseEnds = -1;
  #serverPause = false;
  #pausedAtSamples = -1;
  #pausesDone = 0;
  #discardsDone = 0;

  constructor(
    script: HookScript,
    sound: AudioHookSound,
    ledger: AudioHookCallLedger,
    output: PlaybackOutput,
    startSource: number,
  ) {
    this.#script = script;
    this.#sound = sound;
    this.#ledger = ledger;
    this.#output = output;
    this.#startSource = startSource;
  }

  begin(nowUs: number): void {
    this.#startUs = nowUs;
  }

  /** The medium that the server took. */
  take({ format, channels }: HookMedia): void {
    this.#ledger.media = { format, channels };
    this.#coded = this.#sound.coded(format, channels);
    this.#pairBytes = (format === 'PCMU' ? 1 : 2) * channels.length;
  }

  /** Plays what is due; says whether the call's end has come, or where its connection is to break. */
  play(nowUs: number, lossAtSeconds: number | undefined): 'goesOn' | 'ended' | 'breaks' {
    const { frameMs, seconds } = this.#script;
    const frameSamples = Math.round((frameMs * HOOK_RATE) / 1000);
    const end = seconds * HOOK_RATE;
    const lossAt = lossAtSeconds === undefined ? Number.POSITIVE_INFINITY : lossAtSeconds * HOOK_RATE;
    const due = this.#dueSamples(nowUs);
    for (;;) {
      if (this.#ownPauseEnds >= 0 && due >= this.#ownPauseEnds) this.#endOwnPause();
      const { positionSamples } = this.#ledger;
      if (this.#pausedAtSamples >= 0) return due >= end ? 'ended' : 'goesOn';
      if (positionSamples >= lossAt) return 'breaks';
      if (positionSamples >= end) return 'ended';
      if (this.#stretchDue(positionSamples)) continue;
      const length = Math.min(frameSamples, this.#untilNextStretch(positionSamples), end - positionSamples);
      if (due < positionSamples + length) return 'goesOn';
      this.#frame(length);
    }
  }

  /** The server has no use for anything before `samples`. */
  serverDiscards(samples: number): void {
    const { positionSamples } = this.#ledger;
    if (samples > positionSamples) this.#discard(positionSamples, samples - positionSamples);
  }

  /** The server's own pause begins. */
  serverPaused(): void {
    this.#serverPause = true;
    this.pause();
  }

  /** The server's own pause is over; the script's may not be. */
  serverResumed(): void {
    this.#serverPause = false;
    if (this.#ownPauseEnds >= 0) this.#output.sendMessage('paused', {});
    else this.resume();
  }

  pause(): void {
    if (this.#pausedAtSamples < 0) this.#pausedAtSamples = this.#ledger.positionSamples;
    this.#output.sendMessage('paused', {});
  }

  /** Time has gone on during the pause; what it took was thrown away. */
  resume(atSamples = this.#dueSamples(this.#output.nowUs()), announces = true): void {
    const start = this.#pausedAtSamples < 0 ? this.#ledger.positionSamples : this.#pausedAtSamples;
    const length = this.#pausedAtSamples < 0 ? 0 : Math.max(0, atSamples - start);
    this.#pausedAtSamples = -1;
    if (length > 0) addStretch(this.#ledger, 'paused', length, this.#sourceAt(start));
    if (!announces) return;
    this.#output.sendMessage('resumed', { start: secondsText(start), discarded: secondsText(length) });
  }

  /** The call ends: a pause that is on ends with it, with a message or, for one of the faults, without. */
  end(): void {
    if (this.#pausedAtSamples >= 0) this.resume(undefined, this.#script.fault !== 'closeWhilePaused');
  }

  // The place on the time line that is due now: history at once, the rest by the clock.
  #dueSamples(nowUs: number): number {
    const { speed, burstSeconds, seconds } = this.#script;
    const elapsed = ((nowUs - this.#startUs) / US_PER_SECOND) * speed + burstSeconds;
    return Math.round(Math.min(elapsed, seconds) * HOOK_RATE);
  }

  // Begins the pause or does the discard that the script has here.
  #stretchDue(positionSamples: number): boolean {
    const discard = this.#script.discards[this.#discardsDone];
    if (discard !== undefined && positionSamples >= discard.atSeconds * HOOK_RATE) {
      this.#discardsDone += 1;
      this.#discard(positionSamples, Math.round(discard.lastsSeconds * HOOK_RATE));
      return true;
    }
    const pause = this.#script.pauses[this.#pausesDone];
    if (pause !== undefined && positionSamples >= pause.atSeconds * HOOK_RATE) {
      this.#pausesDone += 1;
      this.#ownPauseEnds = positionSamples + Math.round(pause.lastsSeconds * HOOK_RATE);
      this.pause();
      return true;
    }
    return false;
  }

  #discard(positionSamples: number, length: number): void {
    addStretch(this.#ledger, 'discarded', length, this.#sourceAt(positionSamples));
    this.#output.sendMessage('discarded', { start: secondsText(positionSamples), discarded: secondsText(length) });
  }

  #untilNextStretch(positionSamples: number): number {
    const next = Math.min(
      this.#script.discards[this.#discardsDone]?.atSeconds ?? Number.POSITIVE_INFINITY,
      this.#script.pauses[this.#pausesDone]?.atSeconds ?? Number.POSITIVE_INFINITY,
    );
    return Math.max(1, Math.round(next * HOOK_RATE) - positionSamples);
  }

  #sourceAt(positionSamples: number): number {
    return (this.#startSource + positionSamples) % this.#sound.lengthSamples;
  }

  #frame(length: number): void {
    const ledger = this.#ledger;
    if (this.#coded.length === 0) {
      ledger.positionSamples += length;
      return;
    }
    const from = this.#sourceAt(ledger.positionSamples);
    const loop = this.#sound.lengthSamples;
    const first = this.#coded.subarray(from * this.#pairBytes, Math.min(from + length, loop) * this.#pairBytes);
    const frame =
      from + length <= loop
        ? first
        : Buffer.concat([first, this.#coded.subarray(0, (from + length - loop) * this.#pairBytes)]);
    this.#output.frame(frame);
    ledger.framesSent += 1;
    ledger.bytesSent += frame.length;
    ledger.samplesSent += length;
    addStretch(ledger, 'audio', length, this.#startSource + ledger.positionSamples);
  }

  #endOwnPause(): void {
    const ends = this.#ownPauseEnds;
    this.#ownPauseEnds = -1;
    if (!this.#serverPause) this.resume(ends);
  }
}

/** Exact: a sample of 8 kHz is 125 µs. */
export function secondsText(samples: number): string {
  return `PT${(samples / HOOK_RATE).toFixed(6)}S`;
}
