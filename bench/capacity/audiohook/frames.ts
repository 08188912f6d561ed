import { Buffer } from 'node:buffer';
import { SpeechPayloads } from '../load/payloads.js';
import { maskedFrame } from '../load/websocket.js';
import { CHANNELS, samplesPerTick } from './plan.js';

const MASK = [0x5a, 0xc3, 0x17, 0x9e] as const;
/** The internal side is another clip than the external one, so far on. */
const OTHER_SIDE = 2;

/** What a call says: frames as they go over the wire, masked and all, played over and over. */
export interface Conversation {
  readonly frames: readonly Buffer[];
  /** Where in `frames` the call begins. */
  readonly start: number;
}

/** Both sides' speech for every call, interleaved and framed once, and shared by all calls with the same speech. */
export class Conversations {
  readonly #speech = new SpeechPayloads('pcmu');
  readonly #tickSamples: number;
  readonly #frames = new Map<number, readonly Buffer[]>();

  constructor(tickUs: number) {
    this.#tickSamples = samplesPerTick(tickUs);
  }

  conversation(index: number): Conversation {
    const clip = index % this.#speech.clips;
    let frames = this.#frames.get(clip);
    if (frames === undefined) {
      frames = this.#lay(clip);
      this.#frames.set(clip, frames);
    }
    return { frames, start: this.#speech.speech(index).start % frames.length };
  }

  #lay(clip: number): Buffer[] {
    const [external, internal] = [clip, clip + OTHER_SIDE].map((one) => {
      const { payloads } = this.#speech.speech(one % this.#speech.clips);
      return Buffer.concat(payloads.map((text) => Buffer.from(text, 'base64')));
    }) as [Buffer, Buffer];
    const samples = this.#tickSamples;
    return Array.from({ length: Math.floor(external.length / samples) }, (_, frame) => {
      const payload = Buffer.alloc(samples * CHANNELS);
      for (let i = 0; i < samples; i++) {
        const at = frame * samples + i;
        payload[i * CHANNELS] = external[at] as number;
        payload[i * CHANNELS + 1] = internal[at % internal.length] as number;
      }
      return maskedFrame(payload, MASK);
    });
  }
}
