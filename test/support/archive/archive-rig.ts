import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArchiveWorker } from '../../../src/archive/archive-worker.js';
import type { FromArchive } from '../../../src/archive/thread-messages.js';
import type { UploadSettings } from '../../../src/archive/upload/options.js';
import { NO_UPLOADS, type UploadReport } from '../../../src/archive/upload/upload-report.js';
import { wavHeader } from '../../../src/audio/wav.js';
import type { RecordingArchived } from '../../../src/core/archive-events.js';
import { messageOf } from '../../../src/core/errors.js';
import type { AuditFields } from '../../../src/core/events.js';
import type { RetentionSettings } from '../../../src/core/retention/policy.js';
import type { RecordingEntry } from '../../../src/evidence/recording-entry.js';
import { recordingEntry } from '../../../src/evidence/recording-entry.js';
import type { AuditLog } from '../../../src/sinks/audit/audit-log.js';

/** The archive's thread without a thread, on an audit of the same folder. */
export class ArchiveRig {
  readonly faults: string[] = [];
  counts: Readonly<Record<string, number>> = {};
  readonly worker: ArchiveWorker;
  /** Entries that were given to the audit. */
  entries = 0;

  /** What was said of uploads, the newest last. */
  readonly reports: UploadReport[] = [];
  readonly archived: RecordingArchived[] = [];

  constructor(
    directory: string,
    log: AuditLog,
    sinceMs = Number.POSITIVE_INFINITY,
    uploads?: UploadSettings,
    retention?: RetentionSettings,
  ) {
    const keep = async (number: number, action: string, fields: AuditFields, id: string | undefined): Promise<void> => {
      this.entries++;
      log.event(action, id, fields);
      const isKept = await log.written();
      this.worker.kept(number, isKept ? undefined : 'The audit cannot be written.');
    };
    const tell = (message: FromArchive): void => {
      if (message.kind === 'fault') this.faults.push(message.message);
      else if (message.kind === 'counts') this.counts = message.counts;
      else if (message.kind === 'uploads') this.reports.push(message.report);
      else if (message.kind === 'archived') this.archived.push(message.recording);
      else {
        const { number, action, fields, interactionId } = message;
        keep(number, action, fields, interactionId).catch((thrown) => this.faults.push(messageOf(thrown)));
      }
    };
    const data = { directory, fileMode: 0o600, auditDirectory: directory, sinceMs, retention };
    const upload = uploads && { settings: uploads, earlier: NO_UPLOADS };
    this.worker = new ArchiveWorker({ ...data, uploads: upload }, tell);
  }
}

/** A finished recording with so many bytes of audio, as a recorder leaves it. */
export function makeRecording(directory: string, folder: string, audioBytes = 1_600, interactionId = folder): void {
  const path = join(directory, folder);
  mkdirSync(path, { recursive: true });
  const audio = Buffer.alloc(audioBytes, folder);
  const header = wavHeader({ sampleRate: 8000, channels: 1 }, audioBytes);
  writeFileSync(join(path, 'audio.wav'), Buffer.concat([header, audio]), { mode: 0o600 });
  writeFileSync(join(path, 'session.json'), manifestText(interactionId, 'ended'), { mode: 0o600 });
}

/** @param endReason null while the recording is being written. */
export function manifestText(interactionId: string, endReason: string | null): string {
  const counts = ['packetsReceived', 'bytesReceived', 'packetsLost', 'packetsLate', 'packetsRepaired'];
  const manifest = {
    ...{ interactionId, codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 },
    ...{ startedAt: '2026-11-29T08:00:00.000Z', endedAt: endReason && '2026-11-29T08:00:00.100Z', endReason },
    ...Object.fromEntries([...counts, 'packetsDuplicate', 'packetsReordered', 'decodeErrors'].map((name) => [name, 0])),
    spans: [{ state: 'speech', channel: 0, startMs: 0, endMs: 100 }],
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** What the audit in a folder says of recordings. */
export function recordingEntries(directory: string, file = 'audit.jsonl'): RecordingEntry[] {
  const lines = readFileSync(join(directory, file), 'utf8').split('\n');
  return lines.flatMap((line) => recordingEntry(Buffer.from(line)) ?? []);
}
