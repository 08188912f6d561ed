import { WAV_MAX_DATA_BYTES } from '../../../audio/wav.js';
import type { StreamInfo } from '../../../core/events.js';
import { WriteBuffers } from '../buffers/write-buffers.js';
import type { RecordingContext } from '../files/recording-context.js';
import type { LatePacket } from '../opus/late-file.js';
import { LatePackets } from '../opus/late-packets.js';
import { PacketBuffers } from '../opus/packet-buffers.js';
import type { RecordingFiles } from '../recording-files.js';
import { Corrections } from './corrections.js';
import type { MissingSamples } from './missing-samples.js';

/** Positions are kept as i32. */
const MAX_POSITION = 0x7fff_ffff;

/** What a recording has for its kind of audio: samples, or packets as they came. */
export interface AudioParts {
  readonly buffers: WriteBuffers;
  readonly corrections: Corrections | LatePackets;
  /** The most that the files can hold of one channel. */
  readonly maxSamples: number;
}

export function audioParts(
  { memory, scratch }: RecordingContext,
  index: number,
  { channels }: StreamInfo,
  files: RecordingFiles,
  missing: MissingSamples,
): AudioParts {
  const shared = {
    ...{ memory, slot: memory.slot(index), keep: (packet: LatePacket) => files.keepLate(packet) },
    write: (nowUs: number, work: () => void) => files.attempt(nowUs, () => files.write(nowUs, work)),
    dropped: (samples: number, nowUs: number) => missing.add(samples, nowUs),
  };
  const { wav, opus } = files;
  if (wav === undefined) {
    const buffers = new PacketBuffers(memory, index, channels, opus);
    return { buffers, corrections: new LatePackets(shared), maxSamples: MAX_POSITION };
  }
  const maxSamples = Math.min(Math.floor(WAV_MAX_DATA_BYTES / (2 * channels)), MAX_POSITION);
  const buffers = new WriteBuffers(memory, index, channels, maxSamples, wav);
  return { buffers, corrections: new Corrections({ ...shared, channels, scratch, buffers, audio: wav }), maxSamples };
}
