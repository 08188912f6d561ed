import { TrunklineError } from '../../core/errors.js';
import type { StreamInfo, StreamSummary } from '../../core/events.js';
import { LIMITS } from '../../core/limits.js';
import { MS_PER_SECOND } from '../../core/units.js';
import type { NodeEvents } from '../../sinks/events/event-sink.js';

/** What is sent of an event, beside its type and its time. */
export interface EventForm {
  readonly source?: string | undefined;
  readonly interactionId?: string | undefined;
  readonly [field: string]: unknown;
}

/** Events that are not forwarded: those that need every frame, and the one that brings the events of sources. */
type NotForwarded = 'mediaChunk' | 'chunks' | 'metadataSync' | 'utteranceStarted' | 'utterance' | 'sourceEvent';

export type ForwardedEvent = Exclude<keyof NodeEvents, NotForwarded>;

/** The fields of each event of a node; source events keep the fields that they have. */
export const EVENT_FORMS: {
  readonly [Name in ForwardedEvent]: (...values: NodeEvents[Name]) => EventForm;
} = {
  streamOpened: (info) => {
    const { codec, sampleRate, channels, startedAtMs, organizationId, segment, attributes } = info;
    const startedAt = isoTime(startedAtMs);
    return { ...streamOf(info), codec, sampleRate, channels, startedAt, organizationId, segment, attributes };
  },
  attributesChanged: (info) => ({ ...streamOf(info), attributes: info.attributes ?? {} }),
  streamEnded: (info, summary) => ({ ...streamOf(info), ...summaryForm(summary) }),
  streamFinished: (info, result) => {
    const { attributes } = info;
    return { ...streamOf(info), attributes, ...result, summary: summaryForm(result.summary) };
  },
  silence: ({ info, channel, silent, kind, positionSamples }) => ({
    source: info.source,
    interactionId: info.interactionId,
    channel,
    silent,
    kind,
    positionMs: toMs(info, positionSamples),
  }),
  marked: ({ info, channel, state, startSamples, lengthSamples }) => ({
    ...streamOf(info),
    channel,
    state,
    startMs: toMs(info, startSamples),
    lengthMs: Math.round((lengthSamples * MS_PER_SECOND) / info.sampleRate),
  }),
  oneWayAudio: ({ info, channel, cause }) => ({ ...streamOf(info), channel, cause }),
  oneWayAudioEnded: ({ info, channel, cause, reason }) => ({ ...streamOf(info), channel, cause, reason }),
  paused: ({ interactionId, paused, by }) => ({ interactionId, paused, by }),
  error: errorForm,
  diskLow: (event) => ({ ...event }),
  recordingRepaired: (event) => ({ ...event }),
  recordingAttributesChanged: (event) => ({ ...event }),
  recordingArchived: (event) => ({ ...event }),
  archiveState: (event) => ({ ...event }),
  draining: () => ({}),
  workerRestarted: ({ name, cause }) => ({ name, cause }),
  failed: errorForm,
};

/** The fields of an event of a source: those of its first value. */
export function sourceForm(source: string, values: readonly unknown[]): EventForm {
  const [value] = values;
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error);
  if (!isPlain) return { source, value: plain('', value) };
  const { type: _type, at: _at, interactionId, ...fields } = value as Record<string, unknown>;
  return { ...fields, source, interactionId: typeof interactionId === 'string' ? interactionId : undefined };
}

/** One line of JSON. Fields that make it too long, or cannot be written, are left out. */
export function eventJson(type: string, atMs: number, form: EventForm): string {
  const at = isoTime(atMs);
  try {
    // A function for the values makes it three times as slow; most events are changes between speech and silence.
    const json = JSON.stringify({ type, at, ...form }, type in EVENT_FORMS ? undefined : plain);
    if (json.length <= LIMITS.eventBytes) return json;
  } catch {
    // A circle, or a getter that throws, in an event of a source of somebody's own.
  }
  return JSON.stringify({ type, at, source: form.source, interactionId: form.interactionId, isCut: true });
}

/** Values that JSON has no form for. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Error) return errorForm(value);
  if (typeof value === 'bigint') return value.toString();
  return ArrayBuffer.isView(value) ? undefined : value;
}

function errorForm(error: Error): EventForm {
  const { name, message } = error;
  return { name, message, code: error instanceof TrunklineError ? error.code : undefined };
}

function streamOf({ interactionId, source }: StreamInfo): EventForm {
  return { interactionId, source };
}

function summaryForm({ endedAtMs, ...summary }: StreamSummary): EventForm {
  return { ...summary, endedAt: isoTime(endedAtMs) };
}

/** On the time line of the interaction, which begins with its first stream, as in recordings. */
function toMs({ sampleRate, segment }: StreamInfo, samples: number): number {
  return Math.round((segment?.startMs ?? 0) + (samples * MS_PER_SECOND) / sampleRate);
}

let lastMs = Number.NaN;
let lastTime = '';

/** Many events happen in one millisecond. */
function isoTime(ms: number): string {
  if (ms !== lastMs) {
    lastMs = ms;
    lastTime = new Date(ms).toISOString();
  }
  return lastTime;
}
