import type { NodeStats } from '../../../node/node-stats.js';
import { LATENCY_BOUNDS_US, type Latency } from '../../../sinks/metrics/metrics.js';
import { byName, counter, type Family, gauge, histogram, type Monotonic } from '../family.js';
import type { StreamDistributions } from '../sampler.js';

const SECONDS_PER_US = 1e-6;
const RATIO_PER_PPM = 1e-6;
const PACKETS_HELP =
  'Packets by result. Late and reordered ones are received as well, withheld ones too; repaired are those of the late ' +
  'ones whose audio is in the recording after all.';

/** What has become of the packets and frames of all streams since the start. */
export function packetFamilies(stats: NodeStats, refusedByInput: number, monotonic: Monotonic): Family[] {
  const { counts, engine, outcomes, framesDelivered, framesSilent, framesConcealed, framesLost, decodeErrors } = stats;
  const { opened, open, ...finished } = outcomes;
  // A packet that arrives after all is no longer lost.
  const lost = monotonic.of('lost', counts.packetsLost);
  const late = engine.latePacketsRefused;
  return [
    counter('streams_opened', 'Streams that were opened.', stats.streamsOpened),
    counter(
      'streams_finished',
      'Streams that sources have opened, by what has become of them.',
      byName('outcome', finished),
    ),
    counter('streams_accepted', 'Streams that sources have opened.', opened),
    gauge('streams_unfinished', 'Streams that go on, or whose recording is not finished yet.', open),
    counter('packets', PACKETS_HELP, [
      [{ result: 'received' }, counts.packetsReceived],
      [{ result: 'lost' }, lost],
      [{ result: 'late' }, counts.packetsLate],
      [{ result: 'repaired' }, counts.packetsRepaired],
      [{ result: 'duplicate' }, counts.packetsDuplicate],
      [{ result: 'reordered' }, counts.packetsReordered],
      [{ result: 'foreign' }, counts.packetsForeign],
      [{ result: 'withheld' }, engine.packetsPaused],
    ]),
    counter(
      'one_way_audio',
      'Times that one side of a call had no signal while the other one spoke.',
      stats.oneWayAudio,
    ),
    gauge(
      'one_way_audio_sides',
      'Sides of calls that have no signal at the moment, while the other one has spoken.',
      stats.oneWayAudioNow,
    ),
    counter('received_bytes', 'Payload bytes of the packets received.', counts.bytesReceived),
    counter(
      'packets_dropped',
      'Packets that the node dropped itself, by what was full; too many late ones count as late.',
      [
        [{ reason: 'jitterBuffer' }, Math.max(0, counts.packetsDropped - refusedByInput - late)],
        [{ reason: 'inputRing' }, refusedByInput],
        [{ reason: 'late' }, late],
        [{ reason: 'arena' }, engine.arenaFull],
      ],
    ),
    counter('packets_unknown_stream', 'Packets of streams that are not open.', engine.unknownStream),
    counter('frames', 'Frames that were delivered, by what the silence detection says.', [
      [{ state: 'speech' }, framesDelivered - framesSilent],
      [{ state: 'silence' }, framesSilent],
    ]),
    counter('frames_concealed', 'Frames that were made up in place of a packet, lost ones included.', framesConcealed),
    counter('frames_lost', 'Frames whose packet did not arrive in time.', framesLost),
    counter('frames_undecodable', 'Frames whose packet could not be decoded.', decodeErrors),
    gauge(
      'stream_jitter_max_seconds',
      'The largest interarrival jitter of all streams.',
      counts.jitterUs * SECONDS_PER_US,
    ),
    latency('packet_processed', 'From the arrival of a packet to the end of its decoding.', stats.processedMicros),
    latency('packet_delivered', 'From the arrival of a packet to its delivery to the sinks.', stats.deliveredMicros),
  ];
}

/** What was refused or dropped, under the names that log and summary use; the parts' own counters at 0 included. */
export function refusedFamily(
  stats: NodeStats,
  parts: readonly string[],
  known: Readonly<Record<string, number>>,
): Family {
  const refused = { ...known, ...stats.refused };
  const values = Object.entries(refused).map(([name, count]) => {
    const part = parts.find((one) => name.startsWith(`${one}.`)) ?? name.slice(0, name.indexOf('.'));
    return [{ part, reason: name.slice(part.length + 1) }, count] as const;
  });
  return counter('refused', 'Packets, messages, requests and entries that were refused or dropped.', values);
}

/** Of the open streams, each looked at every few seconds. */
export function distributionFamilies({ jitterUs, playoutDelayUs, mosLq, driftPpm }: StreamDistributions): Family[] {
  return [
    histogram(
      'stream_jitter_seconds',
      'Interarrival jitter (RFC 3550) of the open streams, each sampled every 10 seconds.',
      [[{}, jitterUs]],
      SECONDS_PER_US,
    ),
    histogram(
      'stream_playout_delay_seconds',
      'Longest that packets of the open streams are held at the time, each sampled every 10 seconds.',
      [[{}, playoutDelayUs]],
      SECONDS_PER_US,
    ),
    histogram(
      'stream_mos_lq',
      'MOS-LQ (ITU-T G.107, narrowband scale) of the last 10 seconds of the open streams, each sampled every 10 seconds.',
      [[{}, mosLq]],
      1,
    ),
    histogram(
      'stream_clock_drift_ratio',
      "How far the open streams' RTP clocks are off, fast or slow, each sampled every 10 seconds.",
      [[{}, driftPpm]],
      RATIO_PER_PPM,
    ),
  ];
}

function latency(name: string, help: string, { buckets, sum, count }: Latency): Family {
  const counts = { bounds: LATENCY_BOUNDS_US, counts: buckets, sum, count };
  return histogram(
    `${name}_seconds`,
    `${help} The wait for packets that are missing is part of it.`,
    [[{}, counts]],
    SECONDS_PER_US,
  );
}
