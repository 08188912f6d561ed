import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { conditionOf } from '../../core/attributes/attribute-rule.js';
import { MS_PER_SECOND } from '../../core/units.js';
import { audioFileName } from '../../sinks/recorder/files/manifest.js';
import { MANIFEST_FILE } from '../../sinks/recorder/files/manifest-file.js';
import { isStoredName } from '../../sinks/recorder/files/recorded-audio.js';
import type { ControlApp, ControlDependencies } from '../dependencies.js';
import { ControlError } from '../errors.js';
import { isoTime } from '../live/interaction-row.js';
import { type Download, finishedFile, unfinishedAudio } from '../recordings/download.js';
import { isChanging, RECORDING_STATES, type RecordingRow } from '../recordings/recording.js';
import type { RecordingDetail } from '../recordings/recording-detail.js';
import { Recordings } from '../recordings/recordings.js';
import { wavDownload } from '../recordings/wav-download.js';
import { attributesSchema } from './attributes-schema.js';
import { answering, notFound } from './failures.js';
import { registerRecordingAttributes } from './recording-attributes.js';

const MAX_POINTS = 4_000;
const MAX_SEGMENTS = 10_000;
/** Of a Range header that is written into the audit. */
const MAX_RANGE_LENGTH = 64;

const paramsSchema = z.object({ id: z.string() });
const segment = z.coerce.number().int().min(1).max(MAX_SEGMENTS).default(1);
const time = z
  .string()
  .max(64)
  .refine((text) => !Number.isNaN(Date.parse(text)), 'must be a time such as 2026-03-01T10:00:00Z');

const attribute = z.string().min(1).max(128).describe('In any case; * at the end stands for the rest.');

const querySchema = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: z.string().max(1_024).optional().describe('`nextCursor` of the page before.'),
  from: time.optional().describe('Recordings that began then or later.'),
  to: time.optional().describe('Recordings that began before.'),
  interactionId: z.string().max(256).optional(),
  state: z.enum(RECORDING_STATES).optional(),
  queue: attribute.optional(),
  user: attribute.optional(),
  direction: attribute.optional(),
  division: attribute.optional(),
  tag: attribute.optional(),
});

const channel = z.coerce.number().int().min(0).max(1).optional().describe('0: external, 1: internal.');
const audioQuerySchema = z.object({
  segment,
  channel,
  format: z.enum(['stored', 'wav']).default('stored'),
});

/** What follows the number of an audio file. */
const CHANNEL_AND_TYPE = /(-external|-internal)?\.\w+$/;
const CHANNEL_NAMES = ['-external', '-internal'];

const recordingSchema = z
  .object({
    id: z.string().describe('Name of its folder.'),
    interactionId: z.string(),
    state: z.enum(RECORDING_STATES).describe('unfinished: its process was killed, and a repair will complete it.'),
    startedAt: z.string(),
    endedAt: z.string().nullable(),
    endReason: z.string().nullable(),
    durationSeconds: z.number(),
    codec: z.string(),
    sampleRate: z.number(),
    channels: z.number(),
    segmentCount: z.number().describe('Audio files: more than one when the format changed.'),
    bytes: z.number().describe('Of all audio files.'),
    attributes: attributesSchema,
    encrypted: z.boolean().describe('Only `trunkline open` with an identity can read its audio.'),
  })
  .meta({ id: 'Recording' });

const pageSchema = z.object({
  items: z.array(recordingSchema),
  total: z.number().describe('That match, on all pages.'),
  nextCursor: z.string().nullable(),
  complete: z.boolean().describe('False while the folder is still being read: there may be more.'),
});

const count = z.number().nullable().describe('Null where it is no longer known, after a kill.');
const detailSchema = recordingSchema
  .extend({
    organizationId: z.string().nullable(),
    packetsReceived: count,
    packetsLost: count,
    packetsLate: count,
    packetsRepaired: count,
    decodeErrors: count,
    notRecordedMs: z.number(),
    segments: z.array(
      z.object({
        file: z.string(),
        startMs: z.number(),
        codec: z.string(),
        sampleRate: z.number(),
        channels: z.number(),
      }),
    ),
    spans: z.array(
      z.object({
        state: z.string(),
        channel: z.number(),
        startMs: z.number(),
        endMs: z.number(),
        notRecorded: z.boolean().optional(),
      }),
    ),
    spansComplete: z.boolean().describe('False when session.json has more.'),
  })
  .meta({ id: 'RecordingDetail' });

const waveformSchema = z.object({
  sampleRate: z.number(),
  durationSeconds: z.number(),
  channels: z
    .array(z.object({ min: z.array(z.number()), max: z.array(z.number()) }))
    .describe('The extremes of each stretch, from -1 to 1.'),
});

/** The recordings in the folder of the settings: lists, details, files. */
export function registerRecordingRoutes(app: ControlApp, dependencies: ControlDependencies): void {
  const { settings, closing } = dependencies;
  const recordings = settings.recordings === undefined ? undefined : new Recordings(settings.recordings);
  closing.addEventListener('abort', () => void recordings?.close());
  const use = (): Recordings => {
    if (recordings !== undefined) return recordings;
    throw new ControlError(404, 'noRecordings', 'This node records nothing.');
  };
  registerLists(app, use);
  registerFiles(app, dependencies, use);
  registerWaveform(app, use);
  registerRecordingAttributes(app, dependencies, use);
}

function registerLists(app: ControlApp, use: () => Recordings): void {
  app.get(
    '/api/v1/recordings',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'Recordings, the newest first.',
        tags: ['recordings'],
        querystring: querySchema,
        response: { 200: pageSchema },
      },
    },
    ({ query }) =>
      answering(async () => {
        const { from, to, queue, user, direction, division, tag, ...rest } = query;
        const attributes = conditionOf({ queue, user, direction, division, tag });
        const fromMs = from === undefined ? undefined : Date.parse(from);
        const toMs = to === undefined ? undefined : Date.parse(to);
        const { items, total, nextCursor, isComplete } = await use().list({ ...rest, fromMs, toMs, attributes });
        return { items: items.map(recordingOf), total, nextCursor, complete: isComplete };
      }),
  );
  app.get(
    '/api/v1/recordings/:id',
    {
      config: { role: 'listener' },
      schema: {
        summary: 'A recording, with its spans and counts.',
        tags: ['recordings'],
        params: paramsSchema,
        response: { 200: detailSchema },
      },
    },
    ({ params }) => answering(async () => detailOf(found(await use().detail(params.id)))),
  );
}

function registerFiles(app: ControlApp, { audit }: ControlDependencies, use: () => Recordings): void {
  /** A player asks for one part after another: each is an entry, for each may be what somebody wanted. */
  const auditDownload = (
    { caller, method, headers: { range } }: FastifyRequest,
    { interactionId }: RecordingRow,
    file: string,
    { status }: Pick<Download, 'status'> = { status: 200 },
  ): void => {
    if (method === 'HEAD' || status >= 300) return;
    const detail = range === undefined ? file : `${file} ${range.slice(0, MAX_RANGE_LENGTH)}`;
    audit(caller, 'control_downloaded', { detail }, interactionId);
  };
  app.get(
    '/api/v1/recordings/:id/audio.wav',
    {
      config: { role: 'listener' },
      schema: {
        summary: 'The audio of a recording.',
        description:
          'Answers ranges. Of a recording that is being written, what there is at this moment, without ranges. ' +
          'A recording whose format changed has further files: segment 2 is audio-2.wav. ' +
          'One that is stored as FLAC or Opus is answered as that, whatever the path says: see the content type. ' +
          'Of Opus with two channels, channel 1 is the internal one. ' +
          'With format=wav it is decoded to WAV: both channels, or the one that is named.',
        tags: ['recordings'],
        produces: ['audio/wav', 'audio/flac', 'audio/ogg'],
        params: paramsSchema,
        querystring: audioQuerySchema,
      },
    },
    (request, reply) =>
      answering(async () => {
        const { params, query } = request;
        const recordings = use();
        const row = found(await recordings.get(params.id));
        if (row.encrypted) throw encryptedAudio(row.id);
        const { segment, channel, format } = query;
        const file = storedFile(found(await recordings.detail(row.id)), segment, channel ?? 0);
        if (format === 'wav') {
          const { range } = request.headers;
          const wav = found(await wavDownload(recordings, { id: row.id, segment, channel }, range));
          const name = `${file.replace(CHANNEL_AND_TYPE, '')}${channel === undefined ? '' : CHANNEL_NAMES[channel]}.wav`;
          auditDownload(request, row, name, wav);
          return answerFile(reply, wav, 'audio/wav', fileNameOf(row, name));
        }
        // Of several files, those before the last one are finished.
        const isWritten = isChanging(row) && query.segment >= row.segments && file.endsWith('.wav');
        const download = isWritten
          ? await unfinishedAudio(recordings.directory, row.id, file)
          : await finishedFile(request.raw, recordings.directory, row.id, file);
        auditDownload(request, row, file, found(download));
        return answerFile(
          reply,
          found(download),
          TYPES[file.slice(file.lastIndexOf('.'))] ?? TYPES['.wav'],
          fileNameOf(row, file),
        );
      }),
  );
  app.get(
    '/api/v1/recordings/:id/encrypted',
    {
      config: { role: 'listener' },
      schema: {
        summary: 'The audio of an encrypted recording as it is stored, for `trunkline open`. Answers ranges.',
        description: 'Of Opus with two channels, channel 1 is the internal one.',
        tags: ['recordings'],
        produces: ['application/octet-stream'],
        params: paramsSchema,
        querystring: z.object({ segment, channel }),
      },
    },
    (request, reply) =>
      answering(async () => {
        const { params, query } = request;
        const recordings = use();
        const row = found(await recordings.detail(params.id));
        const stored = row.encrypted ? row.files[query.segment - 1] : undefined;
        const file = stored?.channelFiles?.[query.channel ?? 0] ?? stored?.file;
        // The name is from a file that others may have written.
        if (file === undefined || !isStoredName(file)) throw notFound('encrypted recording');
        const download = found(await finishedFile(request.raw, recordings.directory, row.id, file));
        auditDownload(request, row, file, download);
        return answerFile(reply, download, 'application/octet-stream', fileNameOf(row, file));
      }),
  );
  app.get(
    '/api/v1/recordings/:id/session.json',
    {
      config: { role: 'listener' },
      schema: {
        summary: 'The manifest of a recording; of one that is being written, its last checkpoint.',
        tags: ['recordings'],
        produces: ['application/json'],
        params: paramsSchema,
      },
    },
    (request, reply) =>
      answering(async () => {
        const recordings = use();
        const row = found(await recordings.get(request.params.id));
        if (isChanging(row)) {
          const text = found(await recordings.checkpoint(row.id));
          auditDownload(request, row, MANIFEST_FILE);
          return reply.type('application/json').send(text);
        }
        const download = await finishedFile(request.raw, recordings.directory, row.id, MANIFEST_FILE);
        auditDownload(request, row, MANIFEST_FILE, found(download));
        return answerFile(reply, found(download), 'application/json', fileNameOf(row, MANIFEST_FILE));
      }),
  );
}

function registerWaveform(app: ControlApp, use: () => Recordings): void {
  app.get(
    '/api/v1/recordings/:id/waveform',
    {
      config: { role: 'listener' },
      schema: {
        summary: 'The extremes of the audio in equal stretches of its time, for drawing.',
        tags: ['recordings'],
        params: paramsSchema,
        querystring: z.object({ points: z.coerce.number().int().min(1).max(MAX_POINTS).default(800), segment }),
        response: { 200: waveformSchema },
      },
    },
    ({ params, query }) =>
      answering(async () => {
        const row = found(await use().get(params.id));
        if (row.encrypted) throw encryptedAudio(row.id);
        const { sampleRate, durationSeconds, channels } = found(
          await use().waveform(params.id, query.segment, query.points),
        );
        return {
          sampleRate,
          durationSeconds,
          channels: channels.map(({ min, max }) => ({ min: [...min], max: [...max] })),
        };
      }),
  );
}

/** The name of an audio file, as the manifest has it. */
function storedFile({ files }: RecordingDetail, segment: number, channel: number): string {
  const { file, channelFiles } = files[segment - 1] ?? {};
  const named = channelFiles?.[channel] ?? file;
  return named !== undefined && isStoredName(named) ? named : audioFileName(segment);
}

const TYPES: Readonly<Record<string, string>> & { readonly '.wav': string } = {
  '.wav': 'audio/wav',
  '.flac': 'audio/flac',
  '.opus': 'audio/ogg',
};

function encryptedAudio(id: string): ControlError {
  return new ControlError(
    409,
    'encrypted',
    `The audio is encrypted, and this node has no key. Download it from /api/v1/recordings/${id}/encrypted and open it with \`trunkline open --identity\`.`,
  );
}

function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw notFound('recording');
  return value;
}

/** What a browser saves it as. */
function fileNameOf({ id }: RecordingRow, file: string): string {
  return `${id.replaceAll('/', '_')}-${file}`;
}

function answerFile(reply: FastifyReply, { status, headers, stream }: Download, type: string, name: string) {
  reply.headers(headers).code(status);
  // Names consist of letters, digits, `-`, `_` and the dot of the ending.
  if (status < 300) reply.type(type).header('content-disposition', `inline; filename="${name}"`);
  reply.header('cache-control', 'private, no-cache');
  return reply.send(stream);
}

function recordingOf(row: RecordingRow): z.infer<typeof recordingSchema> {
  const { startedAtMs, endedAtMs, durationMs, segments, ...rest } = row;
  return {
    ...rest,
    startedAt: isoTime(startedAtMs),
    endedAt: endedAtMs === null ? null : isoTime(endedAtMs),
    durationSeconds: durationMs / MS_PER_SECOND,
    segmentCount: segments,
  };
}

function detailOf(detail: RecordingDetail): z.infer<typeof detailSchema> {
  const { organizationId, files, spans, isComplete, notRecordedMs, ...row } = detail;
  const { packetsReceived, packetsLost, packetsLate, packetsRepaired, decodeErrors, ...rest } = row;
  return {
    ...recordingOf(rest),
    ...{ packetsReceived, packetsLost, packetsLate, packetsRepaired, decodeErrors, notRecordedMs },
    organizationId: organizationId ?? null,
    segments: files.map(({ file, startMs, codec, sampleRate, channels }) => ({
      ...{ file, startMs, codec, sampleRate, channels },
    })),
    spans: spans.map((span) => ({ ...span })),
    spansComplete: isComplete,
  };
}
