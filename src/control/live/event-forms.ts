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

/** Events that are not forwarded: those of single frames, and the one that brings the events of sources. */
type NotForwarded = 'mediaChunk' | 'metadataSync' | 'sourceEvent';

export type ForwardedEvent = Exclude<keyof NodeEvents, NotForwarded>;

/** The fields of each event of a node; source events keep the fields that they have. */
export const EVENT_FORMS: {
  readonly [Name in ForwardedEvent]: (...values: NodeEvents[Name]) => EventForm;
} = {
  streamOpened: (info) => {
    const { codec, sampleRate, channels, startedAtMs, organizationId, segment } = info;
    return { ...streamOf(info), codec, sampleRate, channels, startedAt: isoTime(startedAtMs), organizationId, segment };
  },
  streamEnded: (info, summary) => ({ ...streamOf(info), ...summaryForm(summary) }),
  streamFinished: (info, result) => ({ ...streamOf(info), ...result, summary: summaryForm(result.summary) }),
  silence: ({ info, channel, silent, positionSamples }) => ({
    ...streamOf(info),
    channel,
    silent,
    positionMs: toMs(info, positionSamples),
  }),
  marked: ({ info, channel, state, startSamples, lengthSamples }) => ({
    ...streamOf(info),
    channel,
    state,
    startMs: toMs(info, startSamples),
    lengthMs: toMs(info, lengthSamples),
  }),
  paused: ({ interactionId, paused, by }) => ({ interactionId, paused, by }),
  error: errorForm,
  diskLow: (event) => ({ ...event }),
  recordingRepaired: (event) => ({ ...event }),
  draining: () => ({}),
  workerRestarted: ({ name, cause }) => ({ name, cause }),
  failed: errorForm,
};

/** The fields of an event of a source: those of its first value. */
export function sourceForm(source: string, values: readonly unknown[]): EventForm {
  const [value] = values;
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error);
  const fields: EventForm = isPlain ? { ...value } : { value: plain('', value) };
  const { interactionId } = fields;
  return { ...fields, source, interactionId: typeof interactionId === 'string' ? interactionId : undefined };
}

/** One line of JSON. Fields that make it too long, or cannot be written, are left out. */
export function eventJson(type: string, atMs: number, form: EventForm): string {
  const { source, interactionId, ...fields } = form;
  const head = { type, at: isoTime(atMs), source, interactionId };
  try {
    const json = JSON.stringify({ ...fields, ...head }, plain);
    if (json.length <= LIMITS.eventBytes) return json;
  } catch {
    // A circle, or a getter that throws, in an event of a source of somebody's own.
  }
  return JSON.stringify({ ...head, isCut: true });
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

function toMs({ sampleRate }: StreamInfo, samples: number): number {
  return Math.round((samples * MS_PER_SECOND) / sampleRate);
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
