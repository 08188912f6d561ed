/** Samples between the network and the sound card, by channel; pure, so that it can be tested without either. */
export interface PlayoutFigures {
  readonly bufferedMs: number;
  /** How often nothing was there to play. */
  readonly underruns: number;
  /** Samples that were left out because too many were waiting. */
  readonly skipped: number;
  /** Samples that were played, per channel. */
  readonly played: number;
}

/** Playing begins, and begins again after an underrun, when this much is there. */
const START_MS = 100;
/** More than this is delay without a use: what is older is left out. */
const MOST_MS = 280;
const CAPACITY_MS = 2_000;

/** A bounded buffer of interleaved 16-bit samples that keeps the delay short. */
export class PlayoutRing {
  readonly #channels: number;
  readonly #rate: number;
  readonly #samples: Int16Array;
  readonly #capacity: number;
  /** In samples per channel since the beginning. */
  #written = 0;
  #read = 0;
  #playing = false;
  #underruns = 0;
  #skipped = 0;
  #played = 0;

  constructor(channels: number, rate: number) {
    this.#channels = channels;
    this.#rate = rate;
    this.#capacity = Math.ceil((rate * CAPACITY_MS) / 1000);
    this.#samples = new Int16Array(this.#capacity * channels);
  }

  get figures(): PlayoutFigures {
    return {
      bufferedMs: (this.#buffered / this.#rate) * 1000,
      underruns: this.#underruns,
      skipped: this.#skipped,
      played: this.#played,
    };
  }

  get #buffered(): number {
    return this.#written - this.#read;
  }

  /** @param pcm Interleaved. */
  push(pcm: Int16Array): void {
    const channels = this.#channels;
    const count = Math.floor(pcm.length / channels);
    for (let at = 0; at < count; at++) {
      const place = ((this.#written + at) % this.#capacity) * channels;
      for (let channel = 0; channel < channels; channel++)
        this.#samples[place + channel] = pcm[at * channels + channel] ?? 0;
    }
    this.#written += count;
    if (this.#buffered > this.#toSamples(MOST_MS)) this.#skipTo(this.#toSamples(START_MS));
  }

  /** Fills one array per channel with samples of −1 to 1, or with silence; returns how many samples were played. */
  pull(outputs: readonly Float32Array[]): number {
    const length = outputs[0]?.length ?? 0;
    if (!this.#playing && this.#buffered >= this.#toSamples(START_MS)) this.#playing = true;
    const count = this.#playing ? Math.min(length, this.#buffered) : 0;
    for (let channel = 0; channel < outputs.length; channel++) this.#copy(outputs[channel], channel, count);
    this.#read += count;
    this.#played += count;
    if (this.#playing && count < length) {
      this.#playing = false;
      this.#underruns++;
    }
    return count;
  }

  /** A mono stream is on every output. */
  #copy(output: Float32Array | undefined, channel: number, count: number): void {
    if (output === undefined) return;
    const from = Math.min(channel, this.#channels - 1);
    for (let at = 0; at < count; at++) {
      output[at] = (this.#samples[((this.#read + at) % this.#capacity) * this.#channels + from] ?? 0) / 32_768;
    }
    output.fill(0, count);
  }

  #skipTo(remaining: number): void {
    const skipped = this.#buffered - remaining;
    this.#read += skipped;
    this.#skipped += skipped;
  }

  #toSamples(ms: number): number {
    return Math.round((this.#rate * ms) / 1000);
  }
}
