import type { WavAudio } from '../wav-audio.js';

export type { HitRates } from './score.js';

import type { Detection, SilenceDetection } from './detection.js';
import { type SpeechSegment, segmentsWithin } from './labels.js';
import { FRAME_MS, type HitRates, hitRates, type OnsetError, onsetError, speechFrames } from './score.js';

/** How well silence was detected in one file, in percent of its frames. */
export interface SilenceScore {
  /** Whole frames of 20 ms. */
  readonly frames: number;
  /** By the flag that each frame had when it came out of the engine. */
  readonly live: HitRates;
  /** By the spans that a recording's session.json would have. */
  readonly spans: HitRates;
  /** Of the spans: distance from a true onset of speech to the detected one. */
  readonly onsetErrorMillis: OnsetError;
}

/** @throws TrunklineError as SilenceDetection.run(), and FILE_INVALID when `speech` is not of this audio. */
export async function evaluateSilence(
  detection: SilenceDetection,
  audio: WavAudio,
  speech: readonly SpeechSegment[],
): Promise<{ score: SilenceScore; speechSpans: readonly SpeechSegment[] }> {
  const lengthMs = (audio.payload.length * 1000) / (audio.bytesPerSample * audio.sampleRate);
  const truth = segmentsWithin(speech, lengthMs);
  const detected = await detection.run(audio);
  return { score: scoreOf(detected, truth), speechSpans: detected.speechSpans };
}

/** @param truth segments in order, within the audio. */
export function scoreOf({ frames, liveSpeech, speechSpans }: Detection, truth: readonly SpeechSegment[]): SilenceScore {
  const isSpeech = speechFrames(truth, frames);
  return {
    frames,
    live: hitRates(isSpeech, liveSpeech),
    spans: hitRates(isSpeech, speechFrames(speechSpans, frames)),
    onsetErrorMillis: onsetError(
      truth.filter(([start]) => start < frames * FRAME_MS),
      speechSpans,
    ),
  };
}
