import { constants, lstatSync, statSync } from 'node:fs';
import { open, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseWav, WAV_HEADER_BYTES, WAV_MAX_DATA_BYTES, wavHeader } from '../../audio/wav.js';
import { TrunklineError } from '../../core/errors.js';
import type { Convert } from './conversion/convert.js';
import { removeOriginals, removeUnfinished } from './conversion/flac-conversion.js';
import { ENCRYPTED_EXTENSION, FORMAT_VERSION, HEAD, isHeadCutOff } from './encryption/chunk-format.js';
import type { Description } from './encryption/encrypted-reader.js';
import { repairEncrypted } from './encryption/repair-encrypted.js';
import { errnoOf } from './files/disk-fault.js';
import {
  AUDIO_FILE,
  fromManifestSpans,
  type Manifest,
  type ManifestSpan,
  NOT_COUNTED,
  parseManifest,
  segmentsOf,
  shifted,
  toManifestSpans,
} from './files/manifest.js';
import { MANIFEST_FILE, PARTIAL_FILE, readCheckpoint, SPARE_FILE, writeManifest } from './files/manifest-file.js';
import { writerState } from './files/writer.js';
import { isOpusFile, placeLatePackets, repairOpus } from './opus/repair-opus.js';
import { appendSpan, type SampleSpan } from './spans.js';

interface WavFormat {
  readonly sampleRate: number;
  readonly channels: 1 | 2;
}

const ENCRYPTED_FILE = `${AUDIO_FILE}${ENCRYPTED_EXTENSION}`;

/** The telephone's own; taken where nothing gives a format. */
const ASSUMED: WavFormat = { sampleRate: 8000, channels: 1 };

export type RepairOutcome =
  | { readonly state: 'finished' | 'live' }
  /** The manifest that was written; undefined when only the header was corrected. */
  | { readonly state: 'repaired'; readonly manifest: Manifest | undefined };

/** A recording whose writer cannot be looked up counts as live when its audio was written so recently. */
const QUIET_MS = 30_000;
/** The spans after the last checkpoint are measured from the audio, in blocks of so many milliseconds. */
const BLOCK_MS = 100;
/** Mean square of full scale below which such a block is silence: RMS 0.01, the detector's default. */
const SILENCE_MEAN_SQUARE = 0.01 ** 2;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const UPDATE = constants.O_RDWR | constants.O_NOFOLLOW;

/**
 * Repairs one recording, see repairRecordings(). Undefined when there is none in the folder.
 *
 * @param fileMode permissions of the files that are made.
 * @param convert makes FLAC of what was to be FLAC.
 */
export async function repairRecording(
  folder: string,
  wallMs: number,
  fileMode: number,
  convert: Convert,
): Promise<RepairOutcome | undefined> {
  const names = await filesIn(folder);
  if (![AUDIO_FILE, ENCRYPTED_FILE, MANIFEST_FILE, PARTIAL_FILE, SPARE_FILE].some((name) => names.has(name)))
    return undefined;
  const text = names.has(MANIFEST_FILE) ? await readFile(join(folder, MANIFEST_FILE), 'utf8') : undefined;
  const written = text === undefined ? undefined : parseManifest(text);
  if (text !== undefined && written === undefined) {
    // Not ours to overwrite: the recorder never leaves half a session.json.
    throw new TrunklineError(
      'FILE_INVALID',
      `${MANIFEST_FILE} is not what a recorder writes; move it away to have the audio repaired.`,
    );
  }
  const checkpoint = readCheckpoint(folder);
  // A finished manifest beside a checkpoint with more audio files: the call went on in another format.
  const goesOn = checkpoint !== undefined && segmentsOf(checkpoint).length > (written ? segmentsOf(written).length : 0);
  if (written !== undefined && written.endReason !== null && !goesOn) {
    // The kill came between the writing of its manifest and the removal of what had been converted.
    removeOriginals(folder, written);
    return { state: 'finished' };
  }
  const convertedOf = async (manifest: Manifest): Promise<Manifest> => {
    if (manifest.notConverted !== 'pending') return manifest;
    if (manifest.encryption !== undefined) return { ...manifest, notConverted: 'noKey' };
    return convert(folder, manifest, fileMode);
  };
  const finish = async ({ writer: _, ...manifest }: Manifest): Promise<RepairOutcome> => {
    await placeLatePackets(folder, manifest, fileMode);
    const final = await convertedOf(manifest);
    removeUnfinished(folder, final);
    writeManifest(folder, final, fileMode);
    removeOriginals(folder, final);
    return { state: 'repaired', manifest: final };
  };
  const known = checkpoint ?? written;
  if (known !== undefined && known.endReason !== null) {
    // The kill came between the writing of its end and the renaming, or while it was converted.
    const isLive = known.writer !== undefined && writerState(known.writer) === 'alive';
    return isLive ? { state: 'live' } : finish(known);
  }
  const file =
    known === undefined ? (names.has(ENCRYPTED_FILE) ? ENCRYPTED_FILE : AUDIO_FILE) : lastSegment(known).file;
  if (!names.has(file)) return undefined;
  const audio = join(folder, file);
  const state = known?.writer === undefined ? 'unknown' : writerState(known.writer);
  const { mtimeMs, size } = await stat(audio);
  const isAbandoned = known !== undefined && known.writer === undefined;
  if (state === 'alive' || (state === 'unknown' && !isAbandoned && wallMs - mtimeMs < QUIET_MS)) {
    return { state: 'live' };
  }
  if (known === undefined && file === ENCRYPTED_FILE && isHeadCutOff(await readBegin(audio, HEAD.BYTES), size)) {
    // The head is written before any audio: there is nothing to keep, and without a head nothing that could be opened.
    await rm(audio);
    await rmdir(folder).catch(() => {});
    return undefined;
  }
  if (file.endsWith(ENCRYPTED_EXTENSION)) {
    const files = (known && lastSegment(known).channelFiles) ?? [file];
    const paths = files.filter((one) => names.has(one)).map((one) => join(folder, one));
    return finish(completedEncrypted(known, paths, mtimeMs));
  }
  if (known !== undefined && isOpusFile(lastSegment(known))) {
    const samples = await repairOpus(folder, lastSegment(known), segmentsOf(known).length, fileMode);
    const tracks = knownTracks(known, samples);
    for (const track of tracks) callSpeech(track, samples);
    return finish(completed(known, tracks, samples));
  }
  const header = known === undefined ? await readBegin(audio, WAV_HEADER_BYTES) : Buffer.alloc(0);
  const format = known === undefined ? formatOf(header, size) : lastSegment(known);
  if (format === undefined && !isUnwritten(header)) {
    throw new TrunklineError(
      'FILE_INVALID',
      `${AUDIO_FILE} has no header of a recorder and no ${MANIFEST_FILE} gives its format.`,
    );
  }
  const { samples, changed } = await repairHeader(audio, size, format ?? ASSUMED);
  if (known === undefined && format !== undefined) {
    for (const file of [PARTIAL_FILE, SPARE_FILE]) await rm(join(folder, file), { force: true });
    return changed ? { state: 'repaired', manifest: undefined } : { state: 'finished' };
  }
  const start = known ?? assumedManifest(basename(folder), mtimeMs - (samples * 1000) / ASSUMED.sampleRate);
  const { sampleRate, channels } = lastSegment(start);
  const tracks = knownTracks(start, samples);
  await measureSpans(tracks, audio, { sampleRate, channels }, samples);
  return finish(completed(start, tracks, samples));
}

/** The names in a folder of real files; a symbolic link is none. */
async function filesIn(folder: string): Promise<Set<string>> {
  try {
    if (!lstatSync(folder).isDirectory()) return new Set();
    const entries = await readdir(folder, { withFileTypes: true });
    return new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name));
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return new Set();
    throw thrown;
  }
}

function lastSegment(manifest: Manifest) {
  const segments = segmentsOf(manifest);
  return segments.at(-1) ?? segments[0];
}

/** The manifest of audio that was written before any header and any checkpoint. */
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

/** The first `length` bytes of a file, or all that there are. */
async function readBegin(path: string, length: number): Promise<Buffer> {
  const file = await open(path, READ);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The format in the file's own header, if a recorder wrote it. */
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

/** Makes header and length of the file agree: half a sample at its end is cut off, the sizes are those of the file. */
async function repairHeader(
  audio: string,
  size: number,
  format: WavFormat,
): Promise<{ samples: number; changed: boolean }> {
  const blockBytes = 2 * format.channels;
  const data = Math.min(Math.max(0, size - WAV_HEADER_BYTES), WAV_MAX_DATA_BYTES);
  const samples = Math.floor(data / blockBytes);
  const wanted = wavHeader(format, samples * blockBytes);
  const file = await open(audio, UPDATE);
  try {
    const found = Buffer.alloc(WAV_HEADER_BYTES);
    await file.read(found, 0, WAV_HEADER_BYTES, 0);
    const length = WAV_HEADER_BYTES + samples * blockBytes;
    const changed = size !== length || !found.equals(wanted);
    if (changed) {
      await file.write(wanted, 0, WAV_HEADER_BYTES, 0);
      await file.truncate(length);
    }
    return { samples, changed };
  } finally {
    await file.close();
  }
}

/** The same of an encrypted recording, from what can be seen of it without its key. */
function completedEncrypted(known: Manifest | undefined, files: readonly string[], mtimeMs: number): Manifest {
  // Of two channels with a file each, the one that is ahead has the length of both.
  const [longest, ...others] = files.map((file) => ({ file, ...repairEncrypted(file, statSync(file).size) }));
  if (longest === undefined) throw new Error('There is no audio.');
  const { file, description, samples, spans } = others.reduce((a, b) => (b.samples > a.samples ? b : a), longest);
  const start = known ?? manifestOf(description) ?? assumedManifest(basename(dirname(file)), mtimeMs);
  const tracks = knownTracks(start, samples);
  for (const [channel, track] of tracks.entries()) {
    const from = track.at(-1)?.endSamples ?? 0;
    for (const span of spans[channel] ?? []) {
      if (span.endSamples > from) appendSpan(track, { ...span, startSamples: Math.max(from, span.startSamples) });
    }
  }
  const encryption = { version: FORMAT_VERSION, sealed: false };
  return { ...completed(start, tracks, samples), file: start.file ?? ENCRYPTED_FILE, encryption };
}

function manifestOf(description: Description | undefined): Manifest | undefined {
  if (description === undefined) return undefined;
  const { file: _, segment: __, ...known } = description;
  return { ...known, endedAt: null, endReason: null, ...NOT_COUNTED, spans: [] };
}

/** What a manifest says of each channel of its last audio file, which has so many samples. */
function knownTracks(known: Manifest, samples: number): SampleSpan[][] {
  const { startMs, sampleRate, channels } = lastSegment(known);
  return (channels === 1 ? ([0] as const) : ([0, 1] as const)).map((channel) =>
    fromManifestSpans(known.spans, channel, sampleRate, startMs)
      .filter((span) => span.startSamples < samples)
      .map((span) => ({ ...span, endSamples: Math.min(span.endSamples, samples) })),
  );
}

/** The manifest with an end that follows from the length of its last audio file. */
function completed(known: Manifest, tracks: readonly SampleSpan[][], samples: number): Manifest {
  const { writer: _, ...rest } = known;
  const { startMs, sampleRate } = lastSegment(known);
  const earlier = known.spans.filter((span) => span.endMs <= startMs);
  const spans = tracks.flatMap((track, channel) => toManifestSpans(track, channel === 0 ? 0 : 1, sampleRate));
  return {
    ...rest,
    ...NOT_COUNTED,
    endedAt: new Date(Date.parse(known.startedAt) + startMs + (samples * 1000) / sampleRate).toISOString(),
    endReason: 'interrupted',
    spans: byChannel([...earlier, ...shifted(spans, startMs)]),
  };
}

/** Nobody has looked at the level of packets that are stored as they came: what follows the known spans is called speech. */
function callSpeech(track: SampleSpan[], endSamples: number): void {
  const startSamples = track.at(-1)?.endSamples ?? 0;
  if (startSamples < endSamples) appendSpan(track, { state: 'speech', startSamples, endSamples });
}

function byChannel(spans: readonly ManifestSpan[]): ManifestSpan[] {
  return [...spans].sort((a, b) => a.channel - b.channel || a.startMs - b.startMs);
}

/** Continues where the known spans end, by the level of the audio. Lost packets can no longer be told apart. */
async function measureSpans(tracks: SampleSpan[][], audio: string, format: WavFormat, samples: number): Promise<void> {
  const blockSamples = Math.round((format.sampleRate * BLOCK_MS) / 1000);
  const block = Buffer.alloc(blockSamples * 2 * format.channels);
  const file = await open(audio, READ);
  try {
    const from = Math.min(...tracks.map((track) => track.at(-1)?.endSamples ?? 0));
    for (let start = from; start < samples; start += blockSamples) {
      const endSamples = Math.min(samples, start + blockSamples);
      const bytes = (endSamples - start) * 2 * format.channels;
      await file.read(block, 0, bytes, WAV_HEADER_BYTES + start * 2 * format.channels);
      for (const [channel, track] of tracks.entries()) {
        const startSamples = track.at(-1)?.endSamples ?? 0;
        if (startSamples >= endSamples) continue;
        const silent = meanSquare(block.subarray(0, bytes), channel, format.channels) < SILENCE_MEAN_SQUARE;
        appendSpan(track, { state: silent ? 'silence' : 'speech', startSamples, endSamples });
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
