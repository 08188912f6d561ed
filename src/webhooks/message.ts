import { randomUUID } from 'node:crypto';
import type { CallAttributes } from '../core/attributes/attributes.js';
import type { StreamInfo, StreamResult } from '../core/events.js';

/** `data` of `call.started`: a stream of a call is open and audio can arrive. */
export interface CallStarted {
  readonly interactionId: string;
  /** Name of the source that the call came by. */
  readonly source?: string;
  readonly codec: string;
  readonly sampleRate: number;
  readonly channels: 1 | 2;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Queue, direction, tags and the like; absent when none is known. */
  readonly attributes?: CallAttributes;
}

/** `data` of `call.one_way_audio`: nothing comes from one side of a call while the other one speaks. */
export interface CallOneWayAudio {
  readonly interactionId: string;
  /** The channel without a signal: 0 external (the customer), 1 internal (the agent). */
  readonly channel: 0 | 1;
  /** `noPackets` or `digitalSilence`. */
  readonly cause: string;
}

/** `data` of `call.one_way_audio_ended`, once for each `call.one_way_audio`. */
export interface CallOneWayAudioEnded extends CallOneWayAudio {
  /** `signal`: that side has one again; `streamEnded`: the stream has ended without one. */
  readonly reason: string;
}

/** `data` of `call.attributes_changed`: what is known of a call has changed while it is captured. */
export interface CallAttributesChanged {
  readonly interactionId: string;
  /** All that are known now. */
  readonly attributes: CallAttributes;
}

/** `data` of `call.given_up`: a call that was to be captured is no longer tried. */
export interface CallGivenUp {
  readonly interactionId: string;
  readonly reason: string;
}

/**
 * `data` of `recording.finished`, `.incomplete`, `.empty` and `.failed`, one for each stream; of `call.ended` on a node
 * without a recorder.
 */
export interface StreamFinished {
  readonly interactionId: string;
  readonly source?: string;
  /** `recorded`, `delivered`, `empty`, `incomplete` or `failed`. */
  readonly outcome: string;
  /** Why it is incomplete or failed. */
  readonly cause?: string;
  /** Why the stream ended, such as `ended` or `lost`. */
  readonly endReason: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  /** Queue, direction, tags and the like, as they were last known; absent when none is known. */
  readonly attributes?: CallAttributes;
  /** Folder of the recording within the output directory; absent, as the following ones, when there are no files. */
  readonly folder?: string;
  /** Its audio file in that folder. */
  readonly file?: string;
  readonly durationMs?: number;
  /** Audio that could not be written, all channels added up. */
  readonly notRecordedMs?: number;
}

/** `data` of `recording.repaired`: a recording that a killed process left behind has been completed. */
export interface RecordingRepaired {
  readonly interactionId: string;
  readonly folder: string;
  readonly durationMs?: number;
}

/** `data` of `worker.restarted`: a thread died and was replaced. */
export interface WorkerRestarted {
  readonly name: string;
  readonly cause: string;
}

/** `data` of `disk.low`, and of `disk.recovered` when there is space again. */
export interface DiskSpace {
  readonly freeBytes: number;
  readonly watermarkBytes: number;
  /** Present at the lower watermark: whether calls that begin from now on are not recorded. */
  readonly refusesNew?: boolean;
}

/** `data` of `recording.attributes_changed`: somebody has changed attributes of a finished recording. */
export interface RecordingAttributes extends CallAttributesChanged {
  /** Its folder within the output directory. */
  readonly folder: string;
}

/** `data` of `recording.archived`: the bucket has a recording, every byte of it. */
export interface RecordingInBucket {
  readonly interactionId: string;
  readonly folder: string;
  readonly bucket: string;
  /** What the names of its objects begin with; `/` and the name of a file follow. */
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
  /** It was deleted from the disk of the node. */
  readonly isDeleted: boolean;
}

/** `data` of `archive.failing` and of `archive.recovered`. */
export interface ArchiveWorks {
  /** Such as `unavailable`, `credentials`, `accessDenied`, `noSuchBucket`. */
  readonly reason?: string;
  /** A sentence on that. */
  readonly message?: string;
  /** Recordings that are not in the bucket yet. */
  readonly waiting: number;
}

/** `data` of `node.failed`: the node can no longer do its work and has to be started again. */
export interface NodeFailed {
  readonly code: string;
  readonly message: string;
}

/** Every type of notification with its data. */
export interface WebhookEvents {
  'call.started': CallStarted;
  'call.one_way_audio': CallOneWayAudio;
  'call.one_way_audio_ended': CallOneWayAudioEnded;
  'call.attributes_changed': CallAttributesChanged;
  'call.given_up': CallGivenUp;
  'call.ended': StreamFinished;
  'recording.finished': StreamFinished;
  'recording.incomplete': StreamFinished;
  'recording.empty': StreamFinished;
  'recording.failed': StreamFinished;
  'recording.repaired': RecordingRepaired;
  'recording.attributes_changed': RecordingAttributes;
  'recording.archived': RecordingInBucket;
  'archive.failing': ArchiveWorks;
  'archive.recovered': ArchiveWorks;
  'worker.restarted': WorkerRestarted;
  'disk.low': DiskSpace;
  'disk.recovered': DiskSpace;
  'audit.checkpoint': Record<string, never>;
  'node.draining': Record<string, never>;
  'node.failed': NodeFailed;
}

export type WebhookType = keyof WebhookEvents;

/** The body of a request, as JSON. */
export interface WebhookPayload<Type extends WebhookType = WebhookType> {
  readonly type: Type;
  /** When it happened, ISO 8601. */
  readonly timestamp: string;
  readonly data: WebhookEvents[Type];
  /**
   * With `recording.*` and `audit.checkpoint`: the newest signed checkpoint of the audit. One that was kept shows every later
   * cut of it: `trunkline verify --witness FILE`.
   */
  readonly checkpoint?: string;
}

/** One notification on its way. */
export interface Message {
  /** `webhook-id`: the same at every attempt, so that a receiver can tell repetitions. */
  readonly id: string;
  readonly type: string;
  /** Messages of one key are delivered in their order: an interaction, or the empty text for the node itself. */
  readonly key: string;
  readonly createdAtMs: number;
  /** JSON of a WebhookPayload. */
  readonly body: string;
}

/** @param key orders messages: those of one key are delivered one after another. */
export function messageFor<Type extends WebhookType>(
  type: Type,
  data: WebhookEvents[Type],
  key: string,
  wallMs: number,
  checkpoint?: string,
): Message {
  const payload: WebhookPayload<Type> = {
    ...{ type, timestamp: new Date(wallMs).toISOString(), data },
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
  const id = `msg_${randomUUID().replaceAll('-', '')}`;
  return { id, type, key, createdAtMs: wallMs, body: JSON.stringify(payload) };
}

export function callStarted(info: StreamInfo): CallStarted {
  const { interactionId, source, codec, sampleRate, channels, startedAtMs, attributes } = info;
  return {
    ...{ interactionId, codec, sampleRate, channels, startedAt: new Date(startedAtMs).toISOString() },
    ...(source === undefined ? {} : { source }),
    ...(attributes === undefined ? {} : { attributes }),
  };
}

export function streamFinished(info: StreamInfo, { outcome, cause, summary, recording }: StreamResult): StreamFinished {
  const { interactionId, source, startedAtMs, attributes } = info;
  return {
    interactionId,
    ...(source === undefined ? {} : { source }),
    outcome,
    ...(cause === undefined ? {} : { cause }),
    endReason: summary.endReason,
    startedAt: new Date(startedAtMs).toISOString(),
    endedAt: new Date(summary.endedAtMs).toISOString(),
    packetsReceived: summary.packetsReceived,
    packetsLost: summary.packetsLost,
    ...(attributes === undefined ? {} : { attributes }),
    ...recording,
  };
}

/** `delivered` has no type of its own: a node without a recorder says `call.ended`, whatever the outcome. */
export function typeOfOutcome(outcome: StreamResult['outcome'], isRecording: boolean): WebhookType {
  if (!isRecording || outcome === 'delivered') return 'call.ended';
  return outcome === 'recorded' ? 'recording.finished' : `recording.${outcome}`;
}
