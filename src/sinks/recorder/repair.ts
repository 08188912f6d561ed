import { open, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseWav, WAV_HEADER_BYTES, WAV_MAX_DATA_BYTES, wavHeader } from '../../audio/wav.js';
import { type Clock, systemClock } from '../../core/clock.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { errnoOf } from './fault.js';
import {
  AUDIO_FILE,
  fromManifestSpans,
  MANIFEST_FILE,
  type Manifest,
  NOT_COUNTED,
  PARTIAL_FILE,
  parseManifest,
  readCheckpoint,
  SPARE_FILE,
  toManifestSpans,
  writeManifest,
} from './manifest.js';
import { appendSpan, type SampleSpan } from './spans.js';
import { writerState } from './writer.js';

export interface RepairReport {
  /** Folders that hold a recording. */
  readonly recordings: number;
  /** Folders that were mended. */
  readonly repaired: readonly string[];
  /** Recordings that a live process is writing; left alone. */
  readonly live: readonly string[];
  /** Recordings that could not be mended, and why. */
  readonly failed: readonly { readonly folder: string; readonly message: string }[];
}

interface WavFormat {
  readonly sampleRate: number;
  readonly channels: 1 | 2;
}

/** The telephone's own; taken where nothing tells a format. */
const ASSUMED: WavFormat = { sampleRate: 8000, channels: 1 };

type Outcome = 'finished' | 'repaired' | 'live';

/** A recording of a writer that cannot be asked counts as live when its sound was written so recently. */
const QUIET_MS = 30_000;
/** What was not written down before the kill is told from the sound, in blocks of so many milliseconds. */
const BLOCK_MS = 100;
/** Mean square of full scale below which such a block is silence: RMS 0.01, as the detector has it by default. */
const SILENCE_MEAN_SQUARE = 0.01 ** 2;

/**
 * Mends what a killed process left in `dir`: WAV headers get the sizes of their files, session.json its end
 * (`interrupted`, by the length of the sound) and its spans. Finished recordings stay as they are, byte for byte, and so
 * do those that a live process is writing. Doing it twice changes nothing.
 *
 * Sound without a header gets one, by session.json, or else for 8 kHz mono, which session.json then says.
 *
 * A recording is live when the process that session.json names runs on this host. When it names another host, or there
 * is no session.json yet, it is live when the sound was written in the last 30 s.
 *
 * @throws TrunklineError FILE_FAILED when `dir` cannot be read. A folder that does not exist has nothing to mend.
 */
export async function repairRecordings(dir: string, clock: Clock = systemClock): Promise<RepairReport> {
  const report = {
    recordings: 0,
    repaired: [] as string[],
    live: [] as string[],
    failed: [] as RepairReport['failed'][number][],
  };
  for (const folder of await foldersOf(dir)) {
    try {
      const outcome = await repairRecording(join(dir, folder), clock);
      if (outcome === undefined) continue;
      report.recordings++;
      if (outcome !== 'finished') report[outcome].push(folder);
    } catch (thrown) {
      report.recordings++;
      report.failed.push({ folder, message: messageOf(thrown) });
    }
  }
  return report;
}

async function foldersOf(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return [];
    throw new TrunklineError('FILE_FAILED', `Cannot read the recordings in ${dir}: ${messageOf(thrown)}.`, {
      cause: thrown,
    });
  }
}

/** Undefined when there is no recording in the folder. */
async function repairRecording(folder: string, clock: Clock): Promise<Outcome | undefined> {
  const audio = join(folder, AUDIO_FILE);
  const size = await sizeOf(audio);
  if (size === undefined) return undefined;
  const text = await readFile(join(folder, MANIFEST_FILE), 'utf8').catch(() => undefined);
  const written = text === undefined ? undefined : parseManifest(text);
  if (text !== undefined && written === undefined) {
    // Not ours to write over: the recorder never leaves half a session.json.
    throw new TrunklineError(
      'FILE_INVALID',
      'session.json is not what a recorder writes; move it away to have the sound mended.',
    );
  }
  if (written !== undefined && written.endReason !== null) return 'finished';
  const manifest = readCheckpoint(folder) ?? written;
  if (manifest !== undefined && manifest.endReason !== null) {
    // The kill came between the writing of its end and the renaming.
    writeManifest(folder, manifest);
    return 'repaired';
  }
  const state = manifest?.writer === undefined ? 'unknown' : writerState(manifest.writer);
  const { mtimeMs } = await stat(audio);
  if (state === 'alive' || (state === 'unknown' && clock.wallMs() - mtimeMs < QUIET_MS)) return 'live';

  const header = manifest === undefined ? await readHeader(audio) : Buffer.alloc(0);
  const format = manifest ?? formatOf(header, size);
  if (format === undefined && !isUnwritten(header)) {
    throw new TrunklineError(
      'FILE_INVALID',
      `${AUDIO_FILE} has no header of a recorder and no session.json tells its format.`,
    );
  }
  const mended = await mendHeader(audio, size, format ?? ASSUMED);
  if (manifest === undefined && format !== undefined) {
    for (const file of [PARTIAL_FILE, SPARE_FILE]) await rm(join(folder, file), { force: true });
    return mended.changed ? 'repaired' : 'finished';
  }
  const known = manifest ?? assumedManifest(basename(folder), mtimeMs - (mended.samples * 1000) / ASSUMED.sampleRate);
  writeManifest(folder, await completed(known, audio, mended.samples));
  return 'repaired';
}

/** What is said of sound that came before any header and any session.json. */
function assumedManifest(interactionId: string, startedAtMs: number): Manifest {
  return {
    interactionId,
    codec: 'pcmu',
    clockRate: ASSUMED.sampleRate,
    ...ASSUMED,
    startedAt: new Date(startedAtMs).toISOString(),
    endedAt: null,
    endReason: null,
    ...NOT_COUNTED,
    spans: [],
    formatAssumed: true,
  };
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

async function readHeader(audio: string): Promise<Buffer> {
  const file = await open(audio, 'r');
  try {
    const header = Buffer.alloc(WAV_HEADER_BYTES);
    const { bytesRead } = await file.read(header, 0, WAV_HEADER_BYTES, 0);
    return header.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The format that the file's own header tells, if it is one of a recorder's. */
function formatOf(header: Buffer, size: number): WavFormat | undefined {
  try {
    const { channels, sampleRate, dataOffset } = parseWav(header, size);
    if ((channels === 1 || channels === 2) && dataOffset === WAV_HEADER_BYTES) return { channels, sampleRate };
  } catch {
    // No header, or another program's.
  }
  return undefined;
}

/** Whether there is nothing where a header belongs, or the first bytes of one that was cut off. */
function isUnwritten(header: Buffer): boolean {
  const cutOff = header.length < WAV_HEADER_BYTES && 'RIFF'.startsWith(header.toString('latin1', 0, 4));
  return cutOff || header.every((byte) => byte === 0);
}

/** Makes header and length of the file fit: half a sample at its end is cut, the sizes are those of the file. */
async function mendHeader(
  audio: string,
  size: number,
  format: WavFormat,
): Promise<{ samples: number; changed: boolean }> {
  const blockBytes = 2 * format.channels;
  const data = Math.min(Math.max(0, size - WAV_HEADER_BYTES), WAV_MAX_DATA_BYTES);
  const samples = Math.floor(data / blockBytes);
  const wanted = wavHeader(format, samples * blockBytes);
  const file = await open(audio, 'r+');
  try {
    const found = Buffer.alloc(WAV_HEADER_BYTES);
    await file.read(found, 0, WAV_HEADER_BYTES, 0);
    const length = WAV_HEADER_BYTES + samples * blockBytes;
    const changed = size !== length || !found.equals(wanted);
    if (changed) {
      await file.write(wanted, 0, WAV_HEADER_BYTES, 0);
      await truncate(audio, length);
    }
    return { samples, changed };
  } finally {
    await file.close();
  }
}

async function completed(manifest: Manifest, audio: string, samples: number): Promise<Manifest> {
  const { writer: _, ...rest } = manifest;
  const spans: SampleSpan[][] = [];
  for (const channel of manifest.channels === 1 ? ([0] as const) : ([0, 1] as const)) {
    const known = fromManifestSpans(manifest.spans, channel, manifest.sampleRate)
      .filter((span) => span.startSamples < samples)
      .map((span) => ({ ...span, endSamples: Math.min(span.endSamples, samples) }));
    spans.push(known);
  }
  await appendMeasuredSpans(spans, audio, manifest, samples);
  return {
    ...rest,
    ...NOT_COUNTED,
    endedAt: new Date(Date.parse(manifest.startedAt) + (samples * 1000) / manifest.sampleRate).toISOString(),
    endReason: 'interrupted',
    spans: spans.flatMap((list, channel) => toManifestSpans(list, channel === 0 ? 0 : 1, manifest.sampleRate)),
  };
}

/** Goes on from where the written spans end, by the level of the sound. Lost stretches are no longer told apart. */
async function appendMeasuredSpans(
  spans: SampleSpan[][],
  audio: string,
  format: WavFormat,
  samples: number,
): Promise<void> {
  const blockSamples = Math.round((format.sampleRate * BLOCK_MS) / 1000);
  const block = Buffer.alloc(blockSamples * 2 * format.channels);
  const file = await open(audio, 'r');
  try {
    const from = Math.min(...spans.map((list) => list.at(-1)?.endSamples ?? 0));
    for (let start = from; start < samples; start += blockSamples) {
      const end = Math.min(samples, start + blockSamples);
      const bytes = (end - start) * 2 * format.channels;
      await file.read(block, 0, bytes, WAV_HEADER_BYTES + start * 2 * format.channels);
      for (const [channel, list] of spans.entries()) {
        const known = list.at(-1)?.endSamples ?? 0;
        if (known >= end) continue;
        const silent = meanSquare(block.subarray(0, bytes), channel, format.channels) < SILENCE_MEAN_SQUARE;
        appendSpan(list, silent ? 'silence' : 'speech', known, end);
      }
    }
  } finally {
    await file.close();
  }
}

/** Of full scale, 0 to 1. */
function meanSquare(pcm: Buffer, channel: number, channels: number): number {
  let sum = 0;
  let count = 0;
  for (let at = 2 * channel; at + 1 < pcm.length; at += 2 * channels) {
    const sample = pcm.readInt16LE(at) / 32768;
    sum += sample * sample;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}
