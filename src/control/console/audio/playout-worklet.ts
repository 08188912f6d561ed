import { PlayoutRing } from './playout-ring.js';

/** The globals of an AudioWorklet, which the DOM's types do not have. */
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: unknown): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

/** A report each 50 ms or so; a quantum is 128 samples. */
const REPORT_MS = 50;

/** Plays what its port is given: interleaved 16-bit samples at the rate of the context. */
class Playout extends AudioWorkletProcessor {
  readonly #ring: PlayoutRing;
  readonly #peaks: number[];
  #sinceReport = 0;

  constructor(options: { processorOptions: { channels: number } }) {
    super();
    const { channels } = options.processorOptions;
    this.#ring = new PlayoutRing(channels, sampleRate);
    this.#peaks = new Array<number>(channels).fill(0);
    this.port.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => this.#ring.push(new Int16Array(data));
  }

  process(_inputs: unknown, [output = []]: Float32Array[][]): boolean {
    this.#ring.pull(output);
    this.#peaks.forEach((peak, channel) => {
      this.#peaks[channel] = output[channel]?.reduce((most, sample) => Math.max(most, Math.abs(sample)), peak) ?? peak;
    });
    this.#sinceReport += output[0]?.length ?? 0;
    if (this.#sinceReport >= (sampleRate * REPORT_MS) / 1000) {
      this.#sinceReport = 0;
      this.port.postMessage({ ...this.#ring.figures, peaks: [...this.#peaks] });
      this.#peaks.fill(0);
    }
    return true;
  }
}

registerProcessor('trunkline-playout', Playout);
