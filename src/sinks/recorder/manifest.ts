import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SpanState } from '../../core/events.js';
import { errnoOf } from './fault.js';
import type { SampleSpan } from './spans.js';
import { writerSchema } from './writer.js';

export const AUDIO_FILE = 'audio.wav';
export const MANIFEST_FILE = 'session.json';
/** What session.json will be, while the recording is being written. */
export const PARTIAL_FILE = 'session.json.partial';
/** The same as in PARTIAL_FILE, once that is too long to be written at one stroke. */
export const SPARE_FILE = 'session.json.partial.spare';
/** A kill interrupts a write at most between two pages, which are this long or longer. */
const PAGE_BYTES = 4096;
/** Of the `blocks` that stat(2) counts. */
const STAT_BLOCK_BYTES = 512;

const spanSchema = z.object({
  state: z.enum(['speech', 'silence', 'lost', 'paused', 'discarded']),
  channel: z.union([z.literal(0), z.literal(1)]),
  /** Milliseconds from the start of the recording. */
  startMs: z.number(),
  endMs: z.number(),
});

/** Null where nobody knows any more, after a kill. */
const count = z.number().nullable();

/** What stands in session.json. In a checkpoint `endedAt` and `endReason` are null. */
export const manifestSchema = z.object({
  interactionId: z.string(),
  codec: z.enum(['pcmu', 'pcma', 'l16', 'opus']),
  clockRate: z.number(),
  sampleRate: z.number().int().positive(),
  channels: z.union([z.literal(1), z.literal(2)]),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  endReason: z.string().nullable(),
  packetsReceived: count,
  bytesReceived: count,
  packetsLost: count,
  packetsLate: count,
  packetsDuplicate: count,
  packetsReordered: count,
  decodeErrors: count,
  spans: z.array(spanSchema),
  /** True when a part of the sound could not be written; absent otherwise. */
  incomplete: z.boolean().optional(),
  /** True when a repair found neither a header nor a session.json and took the sound for 8 kHz mono. */
  formatAssumed: z.boolean().optional(),
  /** Only while the recording is being written. */
  writer: writerSchema.optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** The counts of a recording that was killed: what the last checkpoint said of them may be many seconds old. */
export const NOT_COUNTED = {
  packetsReceived: null,
  bytesReceived: null,
  packetsLost: null,
  packetsLate: null,
  packetsDuplicate: null,
  packetsReordered: null,
  decodeErrors: null,
} as const satisfies Partial<Manifest>;
export type ManifestSpan = z.infer<typeof spanSchema>;

/**
 * Writes session.json; readers never see half of it, for it is written beside and renamed. Throws what node:fs throws,
 * and then everything is as before.
 */
export function writeManifest(folder: string, manifest: Manifest): void {
  writeCheckpoint(folder, manifest);
  rmSync(join(folder, SPARE_FILE), { force: true });
  renameSync(join(folder, PARTIAL_FILE), join(folder, MANIFEST_FILE));
}

/**
 * Writes how things stand beside session.json, for whoever goes on after a kill. It is the same file each time: to make
 * one costs a file system up to a millisecond, to write over it 20 µs. What is longer than a page goes to a spare file
 * first, for a kill may leave half of it, and then the other file has this checkpoint or the one before. Throws what
 * node:fs throws, and then all is as before.
 */
export function writeCheckpoint(folder: string, manifest: Manifest): void {
  const file = openOver(join(folder, PARTIAL_FILE));
  try {
    const before = readFileSync(file);
    const text = textWithRoom(file, before.length, manifest);
    if (Math.max(text.length, before.length) > PAGE_BYTES) writeSpare(folder, text);
    try {
      // Blanks over the rest of a longer old one.
      writeAll(file, Buffer.concat([text], Math.max(text.length, before.length)).fill(' ', text.length), 0);
    } catch (thrown) {
      // A file system that never writes in place has no room here either.
      writeAll(file, before, 0);
      throw thrown;
    }
    if (text.length < before.length) ftruncateSync(file, text.length);
  } finally {
    closeSync(file);
  }
}

function writeSpare(folder: string, text: Buffer): void {
  try {
    const file = openOver(join(folder, SPARE_FILE));
    try {
      writeAll(file, text, 0);
      ftruncateSync(file, text.length);
    } finally {
      closeSync(file);
    }
  } catch {
    // A disk that is full: the checkpoint itself has its room, and better there without a spare than not at all.
  }
}

/** To write over what there is. */
function openOver(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o666);
}

/** The session as text, for which there is room in the file: on a disk that is full only as much as it has already. */
function textWithRoom(file: number, size: number, manifest: Manifest): Buffer {
  const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  if (text.length <= size) return text;
  try {
    writeAll(file, Buffer.alloc(text.length - size, ' '), size);
    return text;
  } catch (thrown) {
    ftruncateSync(file, size);
    const short = Buffer.from(`${JSON.stringify(manifest)}\n`);
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(thrown));
    if (!isFull || short.length > Math.max(size, fstatSync(file).blocks * STAT_BLOCK_BYTES)) throw thrown;
    return short;
  }
}

/** A disk that is nearly full takes less than it is given, and refuses only the next call. */
function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, position + done);
  }
}

/** What the last checkpoint said; undefined when there is none that is whole. */
export function readCheckpoint(folder: string): Manifest | undefined {
  return readManifest(join(folder, PARTIAL_FILE)) ?? readManifest(join(folder, SPARE_FILE));
}

function readManifest(path: string): Manifest | undefined {
  try {
    return parseManifest(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The session of a file's text, or undefined when it is none. */
export function parseManifest(text: string): Manifest | undefined {
  try {
    return manifestSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export function toManifestSpans(spans: readonly SampleSpan[], channel: 0 | 1, sampleRate: number): ManifestSpan[] {
  return spans.map(({ state, startSamples, endSamples }) => ({
    state,
    channel,
    startMs: toMs(startSamples, sampleRate),
    endMs: toMs(endSamples, sampleRate),
  }));
}

export function fromManifestSpans(spans: readonly ManifestSpan[], channel: 0 | 1, sampleRate: number): SampleSpan[] {
  return spans
    .filter((span) => span.channel === channel)
    .map((span): { state: SpanState; startSamples: number; endSamples: number } => ({
      state: span.state,
      startSamples: Math.round((span.startMs * sampleRate) / 1000),
      endSamples: Math.round((span.endMs * sampleRate) / 1000),
    }));
}

/** Exact to the microsecond, which is less than half a sample at any rate, so that the way back is exact too. */
function toMs(samples: number, sampleRate: number): number {
  return Math.round((samples * 1e6) / sampleRate) / 1000;
}
