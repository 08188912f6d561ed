import type { ReceptionCounts } from '../core/events.js';
import { MS_PER_SECOND, US_PER_MS, US_PER_SECOND } from '../core/units.js';
import type { Manifest } from '../sinks/recorder/files/manifest.js';
import { Capture, type Frame, type JitterSettings } from './capture.js';
import { formatOf, type Trace } from './trace.js';

/** What became of a trace. */
export interface Played {
  readonly counts: ReceptionCounts;
  /** From the timestamp to the release, over the path of the fastest packet, of every packet released; milliseconds. */
  readonly delays: readonly number[];
  /** From arrival to release, of the same packets: what the jitter buffer itself adds; milliseconds. */
  readonly added: readonly number[];
  /** Length of what the live line makes up for packets that it did not have in time. */
  readonly concealedMillis: number;
  /** What is in the recording; undefined when none was made. */
  readonly recorded: Recorded | undefined;
}

export interface Recorded {
  /** Packets that were released in time and are in the recording. */
  readonly inTime: number;
  /** Packets that came too late for the live line and are in the recording. */
  readonly repaired: number;
}

export interface PlayOptions {
  /** Delays of packets that arrive earlier are left out; counts are of all packets. */
  readonly fromSeconds?: number;
  /** Makes a recording there. */
  readonly directory?: string;
}

/** When the last packet has arrived, the jitter buffer has this long to release what it holds. */
const SETTLE_US = 3 * US_PER_SECOND;

/** Plays a trace through a capture in virtual time. */
export async function play(
  trace: Trace,
  settings: JitterSettings,
  { fromSeconds = 0, directory }: PlayOptions = {},
): Promise<Played> {
  const capture = new Capture(trace, settings, directory);
  let lastUs = 0;
  for (const packet of trace.packets) {
    capture.advanceTo(packet.arrivalUs);
    capture.insert(packet);
    lastUs = packet.arrivalUs;
  }
  capture.advanceTo(lastUs + SETTLE_US);
  const counts = capture.end();
  const released = capture.frames.filter(({ isLost }) => !isLost);
  const lost = capture.frames.filter(({ isLost }) => isLost);
  const fromUs = fromSeconds * US_PER_SECOND;
  const isChosen = released.map(({ arrivalUs }) => arrivalUs >= fromUs);
  return {
    counts,
    delays: delaysOf(released).filter((_, i) => isChosen[i]),
    added: released.map((frame) => (frame.releasedUs - frame.arrivalUs) / US_PER_MS).filter((_, i) => isChosen[i]),
    concealedMillis:
      (lost.reduce((sum, { sampleCount }) => sum + sampleCount, 0) * MS_PER_SECOND) / formatOf(trace).sampleRate,
    recorded: directory === undefined ? undefined : recordedOf(await capture.manifest(), released),
  };
}

/** Frames whose timestamps can be compared are between two jumps of the time line; each such section has its fastest. */
function delaysOf(released: readonly Frame[]): number[] {
  const fastest: number[] = [];
  const sections: number[] = [];
  let section = 0;
  for (const [i, { arrivalUs, mediaUs, isJump }] of released.entries()) {
    if (isJump && i > 0) section++;
    sections.push(section);
    fastest[section] = Math.min(fastest[section] ?? Number.POSITIVE_INFINITY, arrivalUs - mediaUs);
  }
  return released.map(({ releasedUs, mediaUs }, i) => {
    return (releasedUs - mediaUs - (fastest[sections[i] ?? 0] ?? 0)) / US_PER_MS;
  });
}

function recordedOf({ sampleRate, spans, packetsRepaired }: Manifest, released: readonly Frame[]): Recorded {
  const endMs = Math.max(0, ...spans.map((span) => span.endMs));
  const missing = spans.filter(({ state }) => state !== 'speech' && state !== 'silence');
  const inTime = released.filter(({ positionSamples, sampleCount }) => {
    const middleMs = ((positionSamples + sampleCount / 2) * MS_PER_SECOND) / sampleRate;
    return middleMs < endMs && !missing.some((span) => span.startMs <= middleMs && middleMs < span.endMs);
  });
  return { inTime: inTime.length, repaired: packetsRepaired ?? 0 };
}
