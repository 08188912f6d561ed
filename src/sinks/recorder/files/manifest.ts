import { z } from 'zod';
import { boundedAttributes, type CallAttributes, readAttributes } from '../../../core/attributes/attributes.js';
import type { SpanState, StreamInfo } from '../../../core/events.js';
import type { SampleSpan } from '../spans.js';
import { type ManifestQuality, qualitySchema } from './quality.js';
import { writerSchema } from './writer.js';

export const AUDIO_FILE = 'audio.wav';

/** How audio is stored: 16-bit PCM, the same losslessly compressed, or Opus packets as they came, in Ogg. */
export const AUDIO_FORMATS = ['wav', 'flac', 'opus'] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** The WAV file of the n-th format of an interaction: audio.wav, audio-2.wav and so on. */
export function audioFileName(segment: number): string {
  return segmentFile(segment, 'wav');
}

/** The file of one channel, where each of two has its own: audio-external.opus, audio-2-internal.opus and so on. */
export function channelFile(file: string, channel: 0 | 1, channels: number): string {
  return channels === 1 ? file : file.replace(/\.(\w+(\.enc)?)$/, channel === 0 ? '-external.$1' : '-internal.$1');
}

export function isWavFile({ file }: Pick<ManifestSegment, 'file'>): boolean {
  return /\.wav(\.enc)?$/.test(file);
}

/** Late packets of Opus of the n-th format, until the end of the call brings them into their places. */
export function lateFile(segment: number): string {
  return segment === 1 ? 'audio.late' : `audio-${segment}.late`;
}

/** The same for any format. */
export function segmentFile(segment: number, format: AudioFormat): string {
  return segment === 1 ? `audio.${format}` : `audio-${segment}.${format}`;
}

const spanSchema = z.object({
  state: z.enum(['speech', 'silence', 'lost', 'paused', 'discarded']),
  channel: z.union([z.literal(0), z.literal(1)]),
  /** Milliseconds from the start of the recording. */
  startMs: z.number(),
  endMs: z.number(),
  /** Of a lost span: the audio arrived and could not be written. Absent when it never arrived. */
  notRecorded: z.literal(true).optional(),
  /** Of a silence that has lasted 1 s: all samples are the same, or the sender does not send silence. */
  kind: z.enum(['digital', 'comfortNoise']).optional(),
});

const formatShape = {
  codec: z.enum(['pcmu', 'pcma', 'l16', 'opus']),
  clockRate: z.number(),
  sampleRate: z.number().int().positive(),
  channels: z.union([z.literal(1), z.literal(2)]),
};

/** Where each of two channels has a file of its own: external, internal. `file` is the first then. */
const channelFiles = z.tuple([z.string(), z.string()]);

const segmentSchema = z.object({
  file: z.string(),
  /** Milliseconds from the start of the recording. */
  startMs: z.number(),
  ...formatShape,
  channelFiles: channelFiles.optional(),
});

/** Null where it is no longer known, after a kill. */
const count = z.number().nullable();

/** The content of session.json. While the recording is being written `endedAt` and `endReason` are null. */
export const manifestSchema = z.object({
  interactionId: z.string(),
  /** The organization that the call belongs to, where the source knows it. */
  organizationId: z.string().optional(),
  /** Queue, direction, tags and the like, as they were last known; absent when none is. */
  attributes: z
    .unknown()
    .transform((value): CallAttributes => boundedAttributes(readAttributes(value)))
    .optional(),
  /** What they were at the end of the call, where they were changed afterwards: names in the archive go by these. */
  firstAttributes: z
    .unknown()
    .transform((value): CallAttributes => boundedAttributes(readAttributes(value)))
    .optional(),
  /** See folderKeyOf(): of the manifest before that. */
  auditKey: z.string().optional(),
  /** The format of the first audio file. */
  ...formatShape,
  /** The first audio file, where it is not audio.wav. */
  file: z.string().optional(),
  channelFiles: channelFiles.optional(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  endReason: z.string().nullable(),
  packetsReceived: count,
  bytesReceived: count,
  packetsLost: count,
  packetsLate: count,
  /** Of the late ones, those whose audio is in the file, not only on its way there as in stats(); null in those of earlier versions, too. */
  packetsRepaired: count.default(null),
  packetsDuplicate: count,
  packetsReordered: count,
  decodeErrors: count,
  /** Only when the format changed during the recording: every audio file, in order. */
  segments: z.array(segmentSchema).optional(),
  spans: z.array(spanSchema),
  /**
   * Of the lost packets, those whose audio came out of the packet after them (Opus in-band FEC); absent when there were
   * none. Such a stretch is a span `lost` all the same: it is a coarser version of what was sent.
   */
  packetsRecoveredByFec: count.optional(),
  /** Packets of a second numbering on the same channel, not used; absent when there were none. */
  packetsForeign: count.optional(),
  /** How each channel sounded and how its network was; absent when nothing arrived, and after a kill. */
  quality: z.array(qualitySchema).optional(),
  /** True when a part of the audio could not be written: the spans with `notRecorded`. Absent otherwise. */
  incomplete: z.boolean().optional(),
  /** How much that was, in milliseconds, all channels added up. */
  notRecordedMs: z.number().optional(),
  /**
   * Of a recording that was to be FLAC and is WAV: the disk refused the conversion (`failed`), or there was no time for it,
   * for the process has ended (`pending`), or it is encrypted and its key was gone, or that of an earlier part of the call
   * (`noKey`). `pending` also while the recording is being written.
   */
  notConverted: z.enum(['failed', 'noKey', 'pending']).optional(),
  /**
   * The audio files are encrypted, in that version of FORMAT.md. `sealed`: their end is written, so that `trunkline open`
   * can show that nothing is missing. A process that was killed leaves them without it, and a repair has no key.
   */
  encryption: z.object({ version: z.number().int().positive(), sealed: z.boolean() }).optional(),
  /** True when a repair found neither a header nor a manifest and took the audio for 8 kHz mono. */
  formatAssumed: z.boolean().optional(),
  /** Only while the recording is being written. */
  writer: writerSchema.optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestSpan = z.infer<typeof spanSchema>;
export type ManifestSegment = z.infer<typeof segmentSchema>;

const COUNTS = [
  'packetsReceived',
  'bytesReceived',
  'packetsLost',
  'packetsLate',
  'packetsRepaired',
  'packetsDuplicate',
  'packetsReordered',
  'decodeErrors',
] as const;

/** The counts of a recording that was killed: those of the last checkpoint may be many seconds old. */
export const NOT_COUNTED = Object.fromEntries(COUNTS.map((name) => [name, null])) as Record<
  (typeof COUNTS)[number],
  null
>;

/** The manifest of a file's text, or undefined when it is none. */
export function parseManifest(text: string): Manifest | undefined {
  try {
    return manifestSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The names of a stream's files, as its manifest has them. */
export function fileNames(file: string, channels: 1 | 2): Pick<Manifest, 'file' | 'channelFiles'> {
  if (channels === 1) return { file };
  const both = [channelFile(file, 0, 2), channelFile(file, 1, 2)] as [string, string];
  return { file: both[0], channelFiles: both };
}

/** What a manifest says of the stream itself, in that order. */
export function manifestHead(info: StreamInfo) {
  const { interactionId, organizationId, codec, clockRate, sampleRate, channels, startedAtMs, attributes } = info;
  return {
    interactionId,
    ...(organizationId === undefined ? {} : { organizationId }),
    ...(attributes === undefined ? {} : { attributes }),
    ...{ codec, clockRate, sampleRate, channels },
    startedAt: new Date(startedAtMs).toISOString(),
  };
}

/** The audio files of a recording, in order. */
export function segmentsOf(manifest: Manifest): readonly [ManifestSegment, ...ManifestSegment[]] {
  const { file = AUDIO_FILE, channelFiles: files, codec, clockRate, sampleRate, channels, segments = [] } = manifest;
  const own = { file, startMs: 0, codec, clockRate, sampleRate, channels, ...(files && { channelFiles: files }) };
  const [first = own, ...others] = segments;
  return [first, ...others];
}

/** The manifest with other names of its audio files. */
export function renamed(manifest: Manifest, nameOf: (file: string) => string): Manifest {
  const { file: former = AUDIO_FILE, segments, ...rest } = manifest;
  const file = nameOf(former);
  return {
    ...rest,
    ...(file === AUDIO_FILE ? {} : { file }),
    ...(segments && { segments: segments.map((segment) => ({ ...segment, file: nameOf(segment.file) })) }),
  };
}

/** Adds the manifest of one more audio file, which begins at `startMs` of the recording, to that of the earlier ones. */
export function withSegment(earlier: Manifest, current: Manifest, startMs: number): Manifest {
  const { codec, clockRate, sampleRate, channels, startedAt, segments: _, writer: __, ...other } = current;
  const { file: own, channelFiles: files, ...rest } = other;
  const segments = segmentsOf(earlier);
  const file = own ?? audioFileName(segments.length + 1);
  const { writer: ___, ...before } = earlier;
  const spans = joined(earlier.spans, shifted(current.spans, startMs), startMs);
  const foreign = (earlier.packetsForeign ?? 0) + (current.packetsForeign ?? 0);
  const counts = Object.fromEntries(COUNTS.map((name) => [name, sum(earlier[name], current[name])]));
  return {
    ...before,
    ...rest,
    ...(counts as Pick<Manifest, (typeof COUNTS)[number]>),
    ...(foreign === 0 ? {} : { packetsForeign: foreign }),
    ...joinedQuality(earlier.quality, current.quality, segments.length + 1),
    segments: [
      ...segments,
      { file, startMs, codec, clockRate, sampleRate, channels, ...(files && { channelFiles: files }) },
    ],
    spans,
    ...incompleteness(spans, earlier.incomplete === true || current.incomplete === true),
    ...(current.writer === undefined ? {} : { writer: current.writer }),
  };
}

/** The estimates of all audio files. */
function joinedQuality(
  earlier: readonly ManifestQuality[] = [],
  current: readonly ManifestQuality[] = [],
  segment: number,
): { quality?: ManifestQuality[] } {
  const all = [...earlier, ...current.map((one) => ({ ...one, segment }))];
  return all.length === 0 ? {} : { quality: all };
}

/** What a manifest says of audio that could not be written. */
export function incompleteness(
  spans: readonly ManifestSpan[],
  incomplete: boolean,
): { incomplete?: true; notRecordedMs?: number } {
  if (!incomplete) return {};
  const missing = spans.filter(({ notRecorded }) => notRecorded === true);
  const notRecordedMs = missing.reduce((total, { startMs, endMs }) => total + endMs - startMs, 0);
  return { incomplete: true, notRecordedMs: rounded(notRecordedMs) };
}

/** Nothing was captured between two audio files; a channel of the first one has silence there. */
function joined(earlier: readonly ManifestSpan[], later: readonly ManifestSpan[], startMs: number): ManifestSpan[] {
  const spans: ManifestSpan[] = [];
  for (const channel of [0, 1] as const) {
    const own = earlier.filter((span) => span.channel === channel);
    const endMs = own.at(-1)?.endMs ?? startMs;
    const gap = { state: 'silence' as const, channel, startMs: endMs, endMs: startMs };
    const next = later.filter((span) => span.channel === channel);
    for (const span of [...own, ...(endMs < startMs ? [gap] : []), ...next]) append(spans, span);
  }
  return spans;
}

function append(spans: ManifestSpan[], span: ManifestSpan): void {
  const last = spans.at(-1);
  const isSame =
    last?.channel === span.channel &&
    last.state === span.state &&
    last.endMs === span.startMs &&
    last.notRecorded === span.notRecorded &&
    last.kind === span.kind;
  if (isSame) spans[spans.length - 1] = { ...last, endMs: span.endMs };
  else spans.push(span);
}

/** The spans moved by `byMs`. */
export function shifted(spans: readonly ManifestSpan[], byMs: number): ManifestSpan[] {
  return spans.map((span) => ({ ...span, startMs: rounded(span.startMs + byMs), endMs: rounded(span.endMs + byMs) }));
}

/** The spans of one channel in milliseconds. */
export function toManifestSpans(spans: readonly SampleSpan[], channel: 0 | 1, sampleRate: number): ManifestSpan[] {
  return spans.map(({ state, startSamples, endSamples, notRecorded, kind }) => ({
    state,
    channel,
    startMs: toMs(startSamples, sampleRate),
    endMs: toMs(endSamples, sampleRate),
    ...(notRecorded === true ? { notRecorded } : {}),
    ...(kind && { kind }),
  }));
}

/** The spans of one channel of an audio file that begins at `startMs` of the recording, in samples of that file. */
export function fromManifestSpans(
  spans: readonly ManifestSpan[],
  channel: 0 | 1,
  sampleRate: number,
  startMs = 0,
): SampleSpan[] {
  const toSamples = (ms: number): number => Math.round(((ms - startMs) * sampleRate) / 1000);
  return spans
    .filter((span) => span.channel === channel && span.endMs > startMs)
    .map((span): SampleSpan & { state: SpanState } => ({
      state: span.state,
      startSamples: Math.max(0, toSamples(span.startMs)),
      endSamples: toSamples(span.endMs),
      ...(span.notRecorded === true ? { notRecorded: true } : {}),
      ...(span.kind && { kind: span.kind }),
    }));
}

function sum(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

/** Exact to the microsecond, which is less than half a sample at any rate, so that the way back is exact too. */
function toMs(samples: number, sampleRate: number): number {
  return Math.round((samples * 1e6) / sampleRate) / 1000;
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
