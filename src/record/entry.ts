import { TrunklineError } from '../core/errors.js';
import { type ControlPlace, runAgent } from '../ring/agent.js';
import { LAYOUT_VERSION } from '../ring/layout.js';
import { Recorder, type RecorderOptions } from './recorder.js';

/** All that the recorder's thread is given at its start; structured-cloneable. */
export interface RecorderData extends RecorderOptions {
  /** Compared with this build's LAYOUT_VERSION. */
  readonly layoutVersion: number;
  readonly control: ControlPlace;
}

/** Longest sleep of the recorder. It is not woken for each frame; its rings hold more than that much sound. */
const IDLE_MS = 100;

/** What Piscina runs: the recorder, for as long as the engine lives. */
export default function record(data: RecorderData): void {
  if (data.layoutVersion !== LAYOUT_VERSION) {
    throw new TrunklineError(
      'ENGINE_FAILED',
      `The recorder was built for ring layout ${LAYOUT_VERSION} and the engine for ${data.layoutVersion}; build both anew.`,
    );
  }
  runAgent(new Recorder(data), data.control, IDLE_MS);
}
