import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SpanState } from '../core/events.js';
import { errnoOf } from './fault.js';
import type { SampleSpan } from './spans.js';
import { writerSchema } from './writer.js';

export const AUDIO_FILE = 'audio.wav';
export const SESSION_FILE = 'session.json';
export const PARTIAL_FILE = 'session.json.partial';
/** Of the `blocks` that stat(2) counts. */
const STAT_BLOCK_BYTES = 512;

const spanSchema = z.object({
  state: z.enum(['speech', 'silence', 'lost', 'paused', 'discarded']),
  channel: z.union([z.literal(0), z.literal(1)]),
  /** Milliseconds from the start of the recording. */
  startMs: z.number(),
  endMs: z.number(),
});

/** What stands in session.json. While the recording is being written, `endedAt` and `endReason` are null. */
export const sessionSchema = z.object({
  interactionId: z.string(),
  codec: z.enum(['pcmu', 'pcma', 'l16', 'opus']),
  clockRate: z.number(),
  sampleRate: z.number().int().positive(),
  channels: z.union([z.literal(1), z.literal(2)]),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  endReason: z.string().nullable(),
  packetsReceived: z.number(),
  bytesReceived: z.number(),
  packetsLost: z.number(),
  packetsLate: z.number(),
  packetsDuplicate: z.number(),
  packetsReordered: z.number(),
  decodeErrors: z.number(),
  spans: z.array(spanSchema),
  /** True when a part of the sound could not be written; absent otherwise. */
  incomplete: z.boolean().optional(),
  /** True when a repair found neither a header nor a session.json and took the sound for 8 kHz mono. */
  formatAssumed: z.boolean().optional(),
  /** Only while the recording is being written. */
  writer: writerSchema.optional(),
});
export type Session = z.infer<typeof sessionSchema>;
export type SessionSpan = z.infer<typeof spanSchema>;

/**
 * Readers never see half of it: it is written beside and renamed. Only a disk that is full gets it in the place of the
 * last one, where it fits, since there is no room beside. Throws what node:fs throws.
 */
export function writeSession(folder: string, session: Session): void {
  const partial = join(folder, PARTIAL_FILE);
  try {
    writeFileSync(partial, `${JSON.stringify(session, null, 2)}\n`);
    renameSync(partial, join(folder, SESSION_FILE));
  } catch (thrown) {
    rmSync(partial, { force: true });
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(thrown));
    if (!isFull || !overwriteSession(folder, session)) throw thrown;
  }
}

/** Writes over the session that is there, within the blocks that it has. False when there is none, or no room. */
export function overwriteSession(folder: string, session: Session): boolean {
  let file: number;
  try {
    file = openSync(join(folder, SESSION_FILE), 'r+');
  } catch {
    return false;
  }
  try {
    const { size, blocks } = fstatSync(file);
    const room = Math.max(size, blocks * STAT_BLOCK_BYTES);
    const texts = [JSON.stringify(session, null, 2), JSON.stringify(session)].map((json) => Buffer.from(`${json}\n`));
    const text = texts.find((bytes) => bytes.length <= room);
    if (text === undefined) return false;
    const before = readFileSync(file);
    // Blanks over the rest of the longer old one, so that it is JSON before it is cut as well.
    const whole = Buffer.alloc(Math.max(text.length, size), ' ');
    whole.set(text);
    if (writesWhole(file, whole)) {
      ftruncateSync(file, text.length);
      return true;
    }
    // A file system that never writes in place has no room here either.
    writesWhole(file, before);
    ftruncateSync(file, before.length);
    return false;
  } catch {
    return false;
  } finally {
    closeSync(file);
  }
}

function writesWhole(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes, 0, bytes.length, 0) === bytes.length;
  } catch {
    return false;
  }
}

/** The session of a file's text, or undefined when it is none. */
export function parseSession(text: string): Session | undefined {
  try {
    return sessionSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export function toSessionSpans(spans: readonly SampleSpan[], channel: 0 | 1, sampleRate: number): SessionSpan[] {
  return spans.map(({ state, startSamples, endSamples }) => ({
    state,
    channel,
    startMs: toMs(startSamples, sampleRate),
    endMs: toMs(endSamples, sampleRate),
  }));
}

export function fromSessionSpans(spans: readonly SessionSpan[], channel: 0 | 1, sampleRate: number): SampleSpan[] {
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
