import type { SinkStats } from '../../../sinks/sink.js';
import { counter, type Family, gauge, type Labels, type Monotonic } from '../family.js';

type Sinks = readonly (readonly [name: string, stats: SinkStats])[];

/** Counters of recorder(): what each becomes, its help and where it is not a counter of its own, its label. */
const RECORDER = {
  recordingsOpened: ['recordings_opened', 'Recordings that were begun.'],
  recordingsFaulted: ['recordings_faulted', 'Recordings of which a write has failed.'],
  recordingsRefused: ['recordings_refused', 'Streams that got no recording.'],
  recordingsResumed: ['recordings_resumed', 'Recordings that a new recorder thread took over from one that died.'],
  framesRecorded: ['recorder_frames', 'Frames that the recorder has taken.'],
  bytesWritten: ['recorder_written_bytes', 'Bytes that were written to files.'],
  writeErrors: ['recorder_write_errors', 'Calls to open, write or rename that failed.'],
  samplesDropped: ['recorder_samples_dropped', 'Samples that could not be written.'],
  recordsOrphaned: ['recorder_records_orphaned', 'Records of streams without a recording.'],
  recordsInvalid: ['recorder_records_invalid', 'Records that cannot be valid.'],
  latePacketsLeftOut: ['recorder_late_packets_left_out', 'Late packets whose place has other audio, or is paused.'],
  recordingsNotConverted: ['recordings_not_converted', 'Recordings that remained WAV instead of becoming FLAC.'],
  dropped: ['recorder_frames_dropped', 'Frames and edges that were lost because the disk was too slow.'],
} as const;

const isRecorder = (stats: SinkStats): boolean => 'recordingsOpened' in stats;
const isAudit = (stats: SinkStats): boolean => 'entries' in stats;

/** Recordings, the audit, and the counters of sinks that are not trunkline's own. */
export function sinkFamilies(stats: Readonly<Record<string, SinkStats>>, monotonic: Monotonic): Family[] {
  const all = Object.entries(stats);
  const recorders = all.filter(([, one]) => isRecorder(one));
  const audits = all.filter(([, one]) => isAudit(one));
  const others = all.filter(([, one]) => !isRecorder(one) && !isAudit(one));
  return [...recorderFamilies(recorders), ...auditFamilies(audits, monotonic), ...otherFamilies(others)];
}

function recorderFamilies(recorders: Sinks): Family[] {
  const one = (counted: string) => recorders.map(([sink, stats]) => [{ sink }, stats[counted] ?? 0] as const);
  const known = (counted: string) =>
    recorders.flatMap(([sink, stats]) => (stats[counted] === undefined ? [] : [[{ sink }, stats[counted]] as const]));
  return [
    counter('recordings', 'Recordings that were finished, by result.', results(recorders)),
    ...Object.entries(RECORDER).map(([counted, [name, help]]) => counter(name, help, one(counted))),
    gauge('recorder_lag_seconds', 'How long what is next to be written has been waiting.', one('lagSeconds')),
    gauge('disk_free_bytes', 'Space that is left on the disk of the recordings.', known('freeBytes')),
    gauge('disk_size_bytes', 'Size of the disk of the recordings.', known('diskBytes')),
  ];
}

function results(recorders: Sinks): (readonly [Labels, number])[] {
  return recorders.flatMap(([sink, stats]) => {
    const { recordingsFinished = 0, recordingsIncomplete = 0 } = stats;
    return [
      [{ sink, result: 'complete' }, Math.max(0, recordingsFinished - recordingsIncomplete)] as const,
      [{ sink, result: 'incomplete' }, recordingsIncomplete] as const,
    ];
  });
}

function auditFamilies(audits: Sinks, monotonic: Monotonic): Family[] {
  const one = (counted: string) =>
    audits.map(([sink, stats]) => [{ sink }, monotonic.of(`${sink} ${counted}`, stats[counted] ?? 0)] as const);
  return [
    counter('audit_entries', 'Entries of the audit, lost ones included.', one('entries')),
    counter('audit_entries_lost', 'Entries of the audit that could not be written.', one('dropped')),
    counter('audit_write_errors', 'Writes to the file of the audit that failed.', one('writeErrors')),
  ];
}

/** It is not known whether they only grow. */
function otherFamilies(others: Sinks): Family[] {
  const values = others.flatMap(([sink, stats]) =>
    Object.entries(stats).map(([counted, value]) => [{ sink, name: counted }, value] as const),
  );
  return [gauge('sink_value', 'Counters and other values of all other sinks.', values)];
}
