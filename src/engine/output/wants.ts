import type { FrameSink, StreamInfo } from '../../core/events.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { WANT } from '../../ring/stream-table.js';

/** What a shard shall pass on of a stream: see StreamTable.want(). */
export interface Wants {
  readonly wants: number;
  readonly preRoll: number;
  readonly postRoll: number;
}

/** What the sinks together want of a stream. */
export function wantsOf(sinks: readonly FrameSink[], info: StreamInfo, isRecording: boolean): Wants {
  let wants: number = isRecording ? WANT.RECORDING : 0;
  let preRollMs = 0;
  let postRollMs = 0;
  for (const sink of sinks) {
    const selection = sink.pcmSelection?.(info) ?? 'none';
    if (selection !== 'none') wants |= WANT.SPEECH_PCM;
    if (selection === 'all') wants |= WANT.SILENT_PCM;
    const roll = sink.pcmRoll?.(info);
    preRollMs = Math.max(preRollMs, roll?.preRollMs ?? 0);
    postRollMs = Math.max(postRollMs, roll?.postRollMs ?? 0);
  }
  const toSamples = (ms: number) => Math.ceil((ms * info.sampleRate) / MS_PER_SECOND);
  return { wants, preRoll: toSamples(preRollMs), postRoll: toSamples(postRollMs) };
}
