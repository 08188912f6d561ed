import { TrunklineError } from '../../core/errors.js';
import { type ControlPlace, runAgent } from '../../ring/agent.js';
import { LAYOUT_VERSION } from '../../ring/layout.js';
import { Recorder, type RecorderOptions } from './recorder.js';

/** What the recorder's thread is given at its start; structured-cloneable. */
export interface RecorderData extends RecorderOptions {
  /** Compared with this build's LAYOUT_VERSION. */
  readonly layoutVersion: number;
  readonly control: ControlPlace;
}

/**
 * The recorder is not woken for frames, and its rings hold far more than arrive during its sleep. To look for each frame
 * would cost more than to take it.
 */
const SLEEP = { idleMs: 100, naps: 0 };

/** What Piscina runs: the recorder, for as long as the engine lives. */
export default function record(data: RecorderData): void {
  if (data.layoutVersion !== LAYOUT_VERSION) {
    throw new TrunklineError(
      'ENGINE_FAILED',
      `The recorder was built for ring layout ${LAYOUT_VERSION} and the engine for ${data.layoutVersion}; build both again.`,
    );
  }
  runAgent(new Recorder(data), data.control, SLEEP);
}
