import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { ManualClock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { US_PER_MS } from '../../core/units.js';
import { type AudioEngine, createEngine } from '../../engine/audio-engine.js';
import type { EngineOptions } from '../../engine/options.js';
import { SpanTrack } from '../../sinks/recorder/spans.js';
import type { WavAudio } from '../wav-audio.js';
import type { SpeechSegment } from './labels.js';
import { FRAME_MS } from './score.js';

/** What the engine said of one channel. */
export interface Detection {
  /** Whole frames of 20 ms. */
  readonly frames: number;
  /** 1 for each frame that was not marked silent when it came out of the engine. */
  readonly liveSpeech: Uint8Array;
  /** Spans of speech as a recording's session.json would have them. */
  readonly speechSpans: readonly SpeechSegment[];
}

/** Options of the engine that matter for silence. */
export type DetectionOptions = Pick<
  EngineOptions,
  'native' | 'silenceDetector' | 'silenceThreshold' | 'silenceWindowMs'
>;

/** Packets between two turns of the event loop, which take them to the shard: one second. */
const SHARE = 50;
/** Packets under way at a time: no buffer is full then, however busy the machine is. */
const MOST_UNDER_WAY = 500;
const WAIT_MS = 1;
const MOST_WAITS = 60_000;

/**
 * An engine with one shard in virtual time, that audio is sent through as packets of 20 ms: it takes the way of a
 * call's audio from the jitter buffer to the frames and edges that sinks get. Takes one file after another.
 */
export class SilenceDetection {
  readonly #engine: AudioEngine;
  readonly #clock: ManualClock;
  #taken: TakenFrames | undefined;
  #onEnd: (error?: Error) => void = () => {};
  #streams = 0;

  private constructor(engine: AudioEngine, clock: ManualClock) {
    this.#engine = engine;
    this.#clock = clock;
    engine.on('frame', (frame) => this.#taken?.frame(frame.positionSamples, frame.sampleCount, frame));
    engine.on('silence', ({ positionSamples, silent }) => this.#taken?.edge(positionSamples, silent));
    engine.on('ended', () => this.#onEnd());
    engine.on('error', (error) => this.#onEnd(error));
  }

  /** @throws TrunklineError CONFIG_INVALID, NATIVE_UNAVAILABLE, ENGINE_FAILED */
  static async start(options: DetectionOptions = {}): Promise<SilenceDetection> {
    const clock = new ManualClock();
    return new SilenceDetection(await createEngine({ ...options, maxStreams: 16, shards: 1, clock }), clock);
  }

  get backend(): 'js' | 'native' {
    return this.#engine.backend;
  }

  /** @throws TrunklineError ENGINE_FAILED; FILE_INVALID for less than one frame. */
  async run({ codec, sampleRate, bytesPerSample, payload }: WavAudio): Promise<Detection> {
    const frameSamples = (sampleRate * FRAME_MS) / 1000;
    const frameBytes = frameSamples * bytesPerSample;
    const frames = Math.floor(payload.length / frameBytes);
    if (frames === 0) throw new TrunklineError('FILE_INVALID', `The audio is shorter than a frame of ${FRAME_MS} ms.`);
    const taken = new TakenFrames(frames, frameSamples);
    this.#taken = taken;
    const ended = new Promise<void>((resolve, reject) => {
      this.#onEnd = (error) => (error === undefined ? resolve() : reject(error));
    });
    const stream = this.#engine.open(`evaluation-${this.#streams++}`, { codec, sampleRate, l16Order: 'little' });
    for (let frame = 0; frame < frames; frame++) {
      const packet = {
        sequenceNumber: frame,
        timestamp: frame * frameSamples,
        payload: payload.subarray(frame * frameBytes, (frame + 1) * frameBytes),
      };
      if (!stream.push(packet)) throw new TrunklineError('ENGINE_FAILED', 'The engine took no more packets.');
      this.#clock.advanceUs(FRAME_MS * US_PER_MS);
      if (frame % SHARE !== 0) continue;
      await setImmediate();
      for (let waits = 0; frame - taken.count > MOST_UNDER_WAY; waits++) {
        if (waits === MOST_WAITS) throw new TrunklineError('ENGINE_FAILED', 'The engine put out no more frames.');
        await sleep(WAIT_MS);
      }
    }
    stream.end();
    await ended;
    if (taken.count !== frames) {
      throw new TrunklineError('ENGINE_FAILED', `Of ${frames} frames, the engine put out ${taken.count}.`);
    }
    return taken.detection(sampleRate);
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }
}

/** Takes what the engine puts out for one stream. */
class TakenFrames {
  /** Decoded frames so far. */
  count = 0;
  readonly #liveSpeech: Uint8Array;
  readonly #track = new SpanTrack(0);
  readonly #frameSamples: number;
  /** By the edges, as recordings have it: the flags of frames are the live line's. */
  #isInSilence = true;

  constructor(frames: number, frameSamples: number) {
    this.#frameSamples = frameSamples;
    this.#liveSpeech = new Uint8Array(frames);
  }

  frame(position: number, count: number, { isSilent, lost }: { isSilent: boolean; lost: boolean }): void {
    this.#track.frame(position, count, this.#isInSilence, lost);
    if (!lost) this.count++;
    if (!isSilent) this.#liveSpeech[Math.round(position / this.#frameSamples)] = 1;
  }

  edge(position: number, silent: boolean): void {
    this.#isInSilence = silent;
    this.#track.edge(position, silent);
  }

  detection(sampleRate: number): Detection {
    const frames = this.#liveSpeech.length;
    const toMs = 1000 / sampleRate;
    return {
      frames,
      liveSpeech: this.#liveSpeech,
      speechSpans: this.#track
        .compose(frames * this.#frameSamples)
        .filter(({ state }) => state === 'speech')
        .map(({ startSamples, endSamples }) => [startSamples * toMs, endSamples * toMs]),
    };
  }
}
