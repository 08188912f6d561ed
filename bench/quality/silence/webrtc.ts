import loadFvad from '@echogarden/fvad-wasm';
import { FRAME_MS } from '../../../src/evaluation/silence/score.js';
import { pcmOf } from '../../../src/evaluation/wav-audio.js';
import { type Detector, detectionOf } from './detector.js';

const BYTES_PER_SAMPLE = 2;

/** WebRTC's detector in one of its modes: 0 finds the most speech, 3 the least. */
export async function webrtcDetector(name: string, mode: 0 | 1 | 2 | 3): Promise<Detector> {
  const fvad = await loadFvad();
  return {
    name,
    async detect(audio) {
      const pcm = pcmOf(audio);
      const frameSamples = (audio.sampleRate * FRAME_MS) / 1000;
      const handle = fvad._fvad_new();
      const address = fvad._malloc(frameSamples * BYTES_PER_SAMPLE);
      fvad._fvad_set_mode(handle, mode);
      fvad._fvad_set_sample_rate(handle, audio.sampleRate);
      const live = Uint8Array.from({ length: Math.floor(pcm.length / frameSamples) }, (_, frame) => {
        fvad.HEAP16.set(pcm.subarray(frame * frameSamples, (frame + 1) * frameSamples), address / BYTES_PER_SAMPLE);
        return fvad._fvad_process(handle, address, frameSamples) === 1 ? 1 : 0;
      });
      fvad._fvad_free(handle);
      fvad._free(address);
      return detectionOf(live);
    },
    close: async () => {},
  };
}
