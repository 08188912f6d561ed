import { MS_PER_SECOND, US_PER_MS, US_PER_SECOND } from '../../core/units.js';

/** How long a player that plays at once may have nothing to play before silence takes the place of audio. */
const PATIENCE_MS = 100;
/** Most that audio may come out late because silence was put out in its place. */
const MAX_DELAY_MS = 200;
/** Most that a gap of the time line may exceed the time for which a player had nothing to play. */
const GAP_SLACK_MS = 100;
/** Most that the output counts as ahead of a player, from a source that sends faster than real time. */
const MAX_AHEAD_MS = 500;
/** Calls of isDue() without a block between them before it is true: after a stall of the process, packets are read first. */
const MIN_IDLE_CALLS = 2;

/**
 * Keeps the audio of one stream going in real time, for players: silence by the clock while nothing arrives (a pause, an
 * interruption, a codec that sends nothing in silence), and never so much of it that the audio after it is late by more
 * than 200 ms.
 *
 * Worked example at 8 kHz: the last block ended at position 8,000 and has been played; then nothing comes for one second.
 * By then fill() has given 8,000 samples, and the output has reached 16,000. A block at 16,400 is preceded by 400 more. A
 * block at 15,600 instead, 50 ms behind the silence, is put out in full: what follows is 50 ms late until a gap of the
 * time line makes up for it. What is behind by more than 200 ms is left out.
 */
export class LivePace {
  /** Samples of silence that belong before the block that was placed last. */
  zeros = 0;
  /** Samples at the begin of that block that are left out. */
  skip = 0;
  readonly #sampleRate: number;
  /** End of the output on the time line; −1 before the first block. */
  #end = -1;
  /** By how much the output is behind the time line, in samples. */
  #delay = 0;
  /** Until when a player that plays everything at once has something to play. */
  #coveredUs: number;
  #idleCalls = 0;
  #isFilling = false;

  constructor(sampleRate: number, nowUs: number) {
    this.#sampleRate = sampleRate;
    this.#coveredUs = nowUs;
  }

  /** Whether silence is due because nothing has arrived; to be called every 40 ms or so. */
  isDue(nowUs: number): boolean {
    this.#idleCalls++;
    return this.#idleCalls >= MIN_IDLE_CALLS && this.#isIdle(nowUs);
  }

  /** Samples of silence that are to be put out now. */
  fill(nowUs: number): number {
    if (!this.#isIdle(nowUs)) return 0;
    const samples = this.#samplesIn(nowUs - this.#coveredUs);
    this.#coveredUs += this.#usOf(samples);
    this.#isFilling = true;
    if (this.#end >= 0) this.#end += samples;
    return samples;
  }

  /** Places a block of interleaved samples that begins at `position`; the result is in `zeros` and `skip`. */
  place(position: number, pcm: Int16Array, channels: number, nowUs: number): void {
    const samples = pcm.length / channels;
    const ahead = this.#end < 0 ? 0 : position + this.#delay - this.#end;
    this.zeros = 0;
    this.skip = 0;
    if (ahead >= 0) this.#placeAhead(ahead, nowUs);
    else this.#placeBehind(-ahead, pcm, channels);
    this.#end = Math.max(this.#end, position + this.#delay + samples);
    const out = this.zeros + samples - this.skip;
    const coveredUs = Math.max(this.#coveredUs, nowUs) + this.#usOf(out);
    this.#coveredUs = Math.min(coveredUs, nowUs + MAX_AHEAD_MS * US_PER_MS);
    this.#idleCalls = 0;
    this.#isFilling = false;
  }

  /** A gap of the time line makes up for a delay first. */
  #placeAhead(gap: number, nowUs: number): void {
    const madeUp = Math.min(gap, this.#delay);
    this.#delay -= madeUp;
    // A time line that jumps without time having passed would leave a player behind the call until its end.
    const most = this.#samplesIn(Math.max(0, nowUs - this.#coveredUs) + GAP_SLACK_MS * US_PER_MS);
    this.zeros = Math.min(gap - madeUp, most);
  }

  /** Silence that has been put out is not repeated; audio is put out late, or left out. */
  #placeBehind(behind: number, pcm: Int16Array, channels: number): void {
    const samples = pcm.length / channels;
    const silent = leadingZeros(pcm, behind, channels);
    const late = silent === samples ? 0 : behind - silent;
    const space = (this.#sampleRate * MAX_DELAY_MS) / MS_PER_SECOND - this.#delay;
    const delayed = Math.min(late, Math.max(0, space));
    this.#delay += delayed;
    this.skip = Math.min(behind - delayed, samples);
  }

  #isIdle(nowUs: number): boolean {
    return nowUs - this.#coveredUs >= (this.#isFilling ? 0 : PATIENCE_MS * US_PER_MS);
  }

  #samplesIn(us: number): number {
    return Math.floor((us * this.#sampleRate) / US_PER_SECOND);
  }

  #usOf(samples: number): number {
    return (samples * US_PER_SECOND) / this.#sampleRate;
  }
}

/** Samples of silence, of all channels, at the begin of a block, up to `most`. */
function leadingZeros(pcm: Int16Array, most: number, channels: number): number {
  const end = Math.min(most * channels, pcm.length);
  let at = 0;
  while (at < end && pcm[at] === 0) at++;
  return Math.floor(at / channels);
}
