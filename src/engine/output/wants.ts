import type { FrameSink, StreamInfo } from '../../core/events.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { WANT } from '../../ring/stream-table.js';
import type { RecorderAgent } from '../options.js';

/** What a shard shall pass on of a stream: see StreamTable.want(). */
export interface Wants {
  readonly wants: number;
  readonly preRoll: number;
  readonly postRoll: number;
}

/** What the recorder wants of a stream, if there is one. */
export function recordingWants({ codec }: StreamInfo, recorder: RecorderAgent | undefined): number {
  if (recorder === undefined) return 0;
  const takesPackets = recorder.storesPackets === true && codec === 'opus';
  return takesPackets ? WANT.RECORDING | WANT.RECORDED_PACKETS : WANT.RECORDING;
}

/** What the sinks together want of a stream, beside what is recorded. */
export function wantsOf(sinks: readonly FrameSink[], info: StreamInfo, recording: number): Wants {
  let wants = recording;
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
