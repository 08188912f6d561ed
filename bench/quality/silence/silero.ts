import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { env, InferenceSession, Tensor } from 'onnxruntime-web';
import { Resampler } from '../../../src/audio/resample.js';
import { FRAME_MS } from '../../../src/evaluation/silence/score.js';
import { pcmOf, type WavAudio } from '../../../src/evaluation/wav-audio.js';
import { type Detector, detectionOf } from './detector.js';

/** What the model takes at a rate: new samples, and those before them that it sees again. */
const INPUTS = { 8000: { window: 256, context: 32 }, 16000: { window: 512, context: 64 } } as const;
const STATE_SHAPE = [2, 1, 128];
/** Probability from which a window is speech: the one that its authors recommend. */
const SPEECH = 0.5;
const FULL_SCALE = 32_768;

/** Silero's network, version 6, in one of its two rates; audio of another rate is resampled. */
export async function sileroDetector(name: string, rate: 8000 | 16_000): Promise<Detector> {
  const { window, context } = INPUTS[rate];
  env.wasm.numThreads = 1;
  const model = join(dirname(createRequire(import.meta.url).resolve('@ricky0123/vad-web')), 'silero_vad_v6.onnx');
  const session = await InferenceSession.create(readFileSync(model), { executionProviders: ['wasm'] });
  const sampleRate = new Tensor('int64', BigInt64Array.of(BigInt(rate)), []);
  return {
    name,
    async detect(audio) {
      const samples = samplesAt(audio, rate);
      const probabilities: number[] = [];
      let state = new Tensor('float32', new Float32Array(256), STATE_SHAPE);
      const input = new Float32Array(context + window);
      for (let at = 0; at < samples.length; at += window) {
        input.copyWithin(0, window);
        input.fill(0, context);
        input.set(samples.subarray(at, at + window), context);
        const feeds = { input: new Tensor('float32', input, [1, input.length]), state, sr: sampleRate };
        const { output, stateN } = await session.run(feeds);
        probabilities.push(Number(output?.data[0]));
        state = stateN as typeof state;
      }
      const frameSamples = (rate * FRAME_MS) / 1000;
      return detectionOf(
        Uint8Array.from({ length: Math.floor(samples.length / frameSamples) }, (_, frame) => {
          const middle = (frame + 0.5) * frameSamples;
          return (probabilities[Math.floor(middle / window)] ?? 0) >= SPEECH ? 1 : 0;
        }),
      );
    },
    close: () => session.release(),
  };
}

function samplesAt(audio: WavAudio, rate: number): Float32Array {
  let pcm = pcmOf(audio);
  if (audio.sampleRate !== rate) {
    const resampler = new Resampler(audio.sampleRate, rate, 1);
    const parts = [resampler.resample(pcm), resampler.resample(new Int16Array(audio.sampleRate / 50))];
    pcm = Int16Array.from(parts.flatMap((part) => [...part])).subarray(0, (pcm.length * rate) / audio.sampleRate);
  }
  return Float32Array.from(pcm, (sample) => sample / FULL_SCALE);
}
