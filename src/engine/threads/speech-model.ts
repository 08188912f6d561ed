import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PACKED, packSilero } from '../../audio/neural/silero-weights.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { EngineMemory } from './memory.js';

/** The npm package whose file the model of the neural silence detector is. */
const PACKAGE = '@ricky0123/vad-web';
const FILE = 'dist/silero_vad_v6.onnx';

/** The weights of the neural silence detector in the memory that all shards share, read when they are first needed. */
export class SpeechModel {
  readonly #weights: Float32Array;
  readonly #package: string;
  #isLoaded = false;

  constructor({ memory, speechWeights }: Pick<EngineMemory, 'memory' | 'speechWeights'>, packageName = PACKAGE) {
    this.#package = packageName;
    this.#weights = new Float32Array(memory, speechWeights.offset, PACKED.length);
  }

  /**
   * Takes some 15 ms the first time.
   * @throws TrunklineError CONFIG_INVALID when the package with the model is not installed, FILE_INVALID when it has
   * another one.
   */
  load(): void {
    if (this.#isLoaded) return;
    const { file, model } = readModel(this.#package);
    packSilero(model, file, this.#weights);
    this.#isLoaded = true;
  }
}

function readModel(packageName: string): { file: string; model: Uint8Array } {
  try {
    const file = join(dirname(createRequire(import.meta.url).resolve(`${packageName}/package.json`)), FILE);
    return { file, model: readFileSync(file) };
  } catch (cause) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `The silence detector "neural" needs the model of Silero VAD that the package ${packageName} ships; install it with ` +
        `"npm install ${packageName}", or choose the detector "adaptive". (${messageOf(cause)})`,
      { cause },
    );
  }
}
