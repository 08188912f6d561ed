import { Calibrator } from '../../../src/audio/calibrate.js';
import { type Detection, type DetectionOptions, SilenceDetection } from '../../../src/evaluation/silence/detection.js';
import type { SpeechSegment } from '../../../src/evaluation/silence/labels.js';
import { FRAME_MS } from '../../../src/evaluation/silence/score.js';
import { pcmOf, type WavAudio } from '../../../src/evaluation/wav-audio.js';

/** What decides for each frame of 20 ms whether it is speech. */
export interface Detector {
  readonly name: string;
  detect(audio: WavAudio): Promise<Detection>;
  close(): Promise<void>;
}

/** Gaps shorter than this are speech in the labels of the corpus. */
const LONGEST_GAP_FRAMES = 300 / FRAME_MS;
/** Decimals of the threshold that `trunkline calibrate` prints. */
const THRESHOLD_STEPS = 10_000;

/** The engine's own detector with settings that stay. @throws TrunklineError CONFIG_INVALID for a mode that it has not. */
export async function ownDetector(name: string, options: DetectionOptions): Promise<Detector> {
  const detection = await SilenceDetection.start(options);
  return { name, detect: (audio) => detection.run(audio), close: () => detection.close() };
}

/** The engine's fixed detector with the threshold that `trunkline calibrate` gives for the very file. */
export function calibratedDetector(name: string, options: DetectionOptions): Detector {
  return {
    name,
    async detect(audio) {
      const calibrator = new Calibrator(audio.sampleRate);
      calibrator.feed(pcmOf(audio));
      const silenceThreshold = Math.ceil(calibrator.result().threshold * THRESHOLD_STEPS) / THRESHOLD_STEPS;
      const detection = await SilenceDetection.start({ ...options, silenceThreshold });
      try {
        return await detection.run(audio);
      } finally {
        await detection.close();
      }
    },
    close: async () => {},
  };
}

/**
 * A detection by a detector that says yes or no for each frame and has no notion of spans: its spans are its frames
 * with the gaps filled that the labels of the corpus fill as well.
 */
export function detectionOf(liveSpeech: Uint8Array): Detection {
  const speechSpans: [number, number][] = [];
  for (const [frame, isSpeech] of liveSpeech.entries()) {
    if (isSpeech === 0) continue;
    const last = speechSpans.at(-1);
    if (last !== undefined && frame - last[1] < LONGEST_GAP_FRAMES) last[1] = frame + 1;
    else speechSpans.push([frame, frame + 1]);
  }
  return {
    frames: liveSpeech.length,
    liveSpeech,
    speechSpans: speechSpans.map(([start, end]): SpeechSegment => [start * FRAME_MS, end * FRAME_MS]),
  };
}
