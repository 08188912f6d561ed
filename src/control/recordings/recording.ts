import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WAV_HEADER_BYTES } from '../../audio/wav.js';
import { type CallAttributes, readAttributes } from '../../core/attributes/attributes.js';
import { isCodec } from '../../core/codec.js';
import { readTextNoFollow } from '../../core/files/inside.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { audioFileName } from '../../sinks/recorder/files/manifest.js';
import { MANIFEST_FILE, PARTIAL_FILE, SPARE_FILE } from '../../sinks/recorder/files/manifest-file.js';
import { isStoredName } from '../../sinks/recorder/files/recorded-audio.js';
import { writerSchema, writerState } from '../../sinks/recorder/files/writer.js';
import { isRecordingFolder } from '../../sinks/recorder/folders/recording-folders.js';

/**
 * `recording`: it is being written; `unfinished`: its process was killed, and a repair will complete it; `empty`: it has no
 * audio; `incomplete`: a part of the audio could not be written.
 */
export const RECORDING_STATES = ['recording', 'unfinished', 'recorded', 'empty', 'incomplete'] as const;
export type RecordingState = (typeof RECORDING_STATES)[number];

/** What a list shows of a recording. */
export interface RecordingRow {
  /** Its folder within that of the recordings. */
  readonly id: string;
  readonly interactionId: string;
  readonly state: RecordingState;
  /** Wall clock, milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Null while it is being written. */
  readonly endedAtMs: number | null;
  readonly endReason: string | null;
  readonly durationMs: number;
  readonly codec: string;
  readonly sampleRate: number;
  readonly channels: number;
  /** Audio files; more than one when the format changed. */
  readonly segments: number;
  /** Of all audio files. */
  readonly bytes: number;
  /** Only `trunkline open` can read its audio. */
  readonly encrypted: boolean;
  readonly attributes: CallAttributes;
}

/** A longer manifest is not read: 10 h of the most spans that there can be is a fifth of it. */
const MAX_MANIFEST_BYTES = 64 << 20;

/** The fields of session.json that a list shows; its spans are not looked at. */
const summarySchema = z.object({
  interactionId: z.string(),
  codec: z.custom<string>(isCodec),
  sampleRate: z.number().positive(),
  channels: z.number().int().min(1).max(2),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  endReason: z.string().nullable(),
  incomplete: z.boolean().optional(),
  attributes: z.unknown().transform(readAttributes).optional(),
  segments: z.array(z.unknown()).max(10_000).optional(),
  file: z.string().optional(),
  encryption: z.unknown().optional(),
  writer: writerSchema.optional(),
});
type Summary = z.infer<typeof summarySchema>;

/** A recording in a folder of recordings; undefined when there is none of that name, or its manifest cannot be read. */
export function readRecording(directory: string, id: string): RecordingRow | undefined {
  if (!isRecordingFolder(directory, id)) return undefined;
  const folder = join(directory, id);
  const unfinished = readSummary(join(folder, PARTIAL_FILE)) ?? readSummary(join(folder, SPARE_FILE));
  const summary = unfinished ?? readSummary(join(folder, MANIFEST_FILE));
  if (summary === undefined) return undefined;
  const startedAtMs = Date.parse(summary.startedAt);
  if (Number.isNaN(startedAtMs)) return undefined;
  const segments = Math.max(1, summary.segments?.length ?? 1);
  const files = storedFiles(summary, segments);
  const all = files.flatMap((file) => [file, file.replace('-external.', '-internal.')]);
  const sizes = [...new Set(all)].map((file) => sizeOf(join(folder, file)));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const audioBytes = sizes.reduce((sum, size) => sum + Math.max(0, size - WAV_HEADER_BYTES), 0);
  const { interactionId, codec, sampleRate, channels, endReason } = summary;
  const endedAtMs = unfinished === undefined && summary.endedAt !== null ? Date.parse(summary.endedAt) : null;
  const lengthMs = (audioBytes * MS_PER_SECOND) / (sampleRate * channels * 2);
  const encrypted = summary.encryption !== undefined;
  // The formats of further files may differ; between them, and of all but plain WAV files, the clock is exact enough.
  const isPcm = files[0]?.endsWith('.wav') === true;
  const isKnown = (segments > 1 || !isPcm) && endedAtMs !== null;
  const durationMs = Math.round(isKnown ? endedAtMs - startedAtMs : isPcm || encrypted ? lengthMs : 0);
  const state = stateOf(summary, unfinished !== undefined, audioBytes);
  const times = { startedAtMs, endedAtMs, endReason: unfinished === undefined ? endReason : null, durationMs };
  const { attributes = {} } = summary;
  return { id, interactionId, state, ...times, codec, sampleRate, channels, segments, bytes, encrypted, attributes };
}

/** The names of the audio files; those that the recorder does not give are replaced by one that it does. */
function storedFiles({ file, segments = [] }: Summary, count: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    const named = z.object({ file: z.string() }).safeParse(segments[n]).data?.file ?? (n === 0 ? file : undefined);
    return named !== undefined && isStoredName(named) ? named : audioFileName(n + 1);
  });
}

/** Whether a recording may change by itself. */
export function isChanging({ state }: Pick<RecordingRow, 'state'>): boolean {
  return state === 'recording' || state === 'unfinished';
}

function stateOf({ writer, incomplete }: Summary, isUnfinished: boolean, audioBytes: number): RecordingState {
  if (isUnfinished) return writer !== undefined && writerState(writer) === 'dead' ? 'unfinished' : 'recording';
  if (incomplete === true) return 'incomplete';
  return audioBytes === 0 ? 'empty' : 'recorded';
}

function readSummary(path: string): Summary | undefined {
  try {
    const found = statsOf(path);
    if (found?.isFile() !== true || found.size > MAX_MANIFEST_BYTES) return undefined;
    return summarySchema.safeParse(JSON.parse(readTextNoFollow(path))).data;
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): number {
  const found = statsOf(path);
  return found?.isFile() === true ? found.size : 0;
}

/** Undefined when there is nothing, or nothing that may be looked at. */
function statsOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
