import { join } from 'node:path';
import { type ManifestSegment, type ManifestSpan, segmentsOf } from '../../sinks/recorder/files/manifest.js';
import { readCheckpoint, readManifest } from '../../sinks/recorder/files/manifest-file.js';
import { isChanging, type RecordingRow, readRecording } from './recording.js';

/** A recording with what its manifest says. */
export interface RecordingDetail extends RecordingRow {
  readonly organizationId: string | undefined;
  readonly packetsReceived: number | null;
  readonly packetsLost: number | null;
  readonly packetsLate: number | null;
  readonly packetsRepaired: number | null;
  readonly decodeErrors: number | null;
  readonly notRecordedMs: number;
  readonly files: readonly ManifestSegment[];
  readonly spans: readonly ManifestSpan[];
  /** False when there are more spans than are answered. */
  readonly isComplete: boolean;
}

/** A day of speech has no more; session.json has them all. */
const MAX_SPANS = 20_000;

/** Undefined when the manifest cannot be read. */
export function readDetail(directory: string, row: RecordingRow): RecordingDetail | undefined {
  const folder = join(directory, row.id);
  const manifest = (isChanging(row) ? readCheckpoint(folder) : undefined) ?? readManifest(folder);
  if (manifest === undefined) return undefined;
  const { organizationId, packetsReceived, packetsLost, packetsLate, packetsRepaired } = manifest;
  const { decodeErrors, notRecordedMs = 0 } = manifest;
  const spans = manifest.spans.slice(0, MAX_SPANS);
  return {
    ...row,
    ...{ organizationId, packetsReceived, packetsLost, packetsLate, packetsRepaired, decodeErrors, notRecordedMs },
    files: segmentsOf(manifest),
    spans,
    isComplete: spans.length === manifest.spans.length,
  };
}

/** The manifest of a recording that is not finished, as JSON; undefined when there is none. */
export function checkpointText(directory: string, id: string): string | undefined {
  const row = readRecording(directory, id);
  if (row === undefined) return undefined;
  const folder = join(directory, id);
  const manifest = readCheckpoint(folder) ?? readManifest(folder);
  return manifest && JSON.stringify(manifest);
}
