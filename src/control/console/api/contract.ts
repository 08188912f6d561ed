/**
 * What the page reads of the responses of `/api/v1`; the full description is the OpenAPI document of the server. Times
 * are ISO 8601. What is optional here may be missing on a node that does not have the part.
 */

export type Role = 'viewer' | 'listener' | 'operator';
export type Verdict = 'ok' | 'degraded' | 'failing';
export type InteractionState = 'speech' | 'silence' | 'paused' | 'interrupted' | 'subscribing' | 'ended';
/** Of a silence that is not background noise. */
export type SilenceKind = 'digital' | 'comfortNoise';
export type SpanState = 'speech' | 'silence' | 'lost' | 'paused' | 'discarded';

/** GET /api/v1/session */
export interface SessionInfo {
  readonly name: string;
  readonly role: Role;
  readonly tokensRequired: boolean;
}

export interface Check {
  readonly name: string;
  readonly status: Verdict;
  readonly reason?: string;
}

export interface RingInfo {
  readonly name: string;
  /** 0 to 1 */
  readonly fill: number;
  readonly refused: number;
}

export interface ShardInfo {
  readonly name: string;
  /** 0 to 1 */
  readonly utilisation: number;
  readonly heartbeatAgeMs: number;
  readonly restarts: number;
  readonly streams: number;
  readonly rings: readonly RingInfo[];
}

/** A source with what it reports of itself; the fields depend on its kind. */
export interface SourceInfo {
  readonly name: string;
  readonly kind: string;
  readonly connections?: readonly Record<string, unknown>[];
  readonly [field: string]: unknown;
}

export interface Warning {
  readonly at: string;
  readonly level: string;
  readonly code?: string;
  readonly message: string;
  readonly reason?: string;
  /** The call that it is about. */
  readonly interactionId?: string;
}

/** GET /api/v1/node */
export interface NodeInfo {
  readonly version: string;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly backend: string;
  readonly status: Verdict;
  readonly checks: readonly Check[];
  /** Calls of which one side has no signal while the other one speaks. */
  readonly oneWayAudioNow?: number;
  readonly shards: readonly ShardInfo[];
  readonly sources: readonly SourceInfo[];
  readonly logLevel: string;
  readonly warnings: readonly Warning[];
}

/** GET /api/v1/node/history: columns of equal length, a sample each `intervalSeconds`. */
export interface History {
  readonly intervalSeconds: number;
  readonly at: readonly string[];
  readonly packetsPerSecond: readonly (number | null)[];
  readonly lostPerSecond: readonly (number | null)[];
  readonly droppedPerSecond: readonly (number | null)[];
  readonly latencyP99Ms: readonly (number | null)[];
  readonly cpuCores: readonly (number | null)[];
  readonly mainUtilisation: readonly (number | null)[];
  readonly streams: readonly (number | null)[];
  readonly rssBytes: readonly (number | null)[];
}

/** The format is null before the first packet, and the source of packets that an embedder pushes. */
export interface Interaction {
  readonly id: string;
  readonly source: string | null;
  readonly codec: string | null;
  readonly sampleRate: number | null;
  readonly channels: number | null;
  readonly state: InteractionState;
  readonly startedAt: string | null;
  readonly ageSeconds: number | null;
  readonly paused: boolean;
  /** The side that has no signal while the other one speaks. */
  readonly oneWayAudio?: { readonly channel: number; readonly cause: string } | null;
  /** External, internal; null where there is no such channel or no frame yet. */
  readonly levelDbfs: readonly (number | null)[];
  readonly speech: readonly (boolean | null)[];
  /** Of a channel that is silent, where it is not background noise. */
  readonly silenceKind?: readonly (SilenceKind | null)[];
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly packetsRepaired?: number;
  /** 0 to 1 */
  readonly lossRatio: number;
  readonly lateRatio: number;
  readonly jitterMs: number | null;
  readonly playoutDelayMs: number | null;
  readonly latencyMs: number | null;
}

export interface Span {
  readonly state: SpanState;
  readonly kind?: SilenceKind;
  readonly channel: number;
  readonly startMs: number;
  /** Null or absent while it lasts. */
  readonly endMs?: number | null;
}

export interface ChannelReception {
  readonly channel: number;
  readonly [figure: string]: unknown;
}

/** GET /api/v1/interactions/{id} */
/** What is known of a call; numbers and names only of a node that keeps them. */
export interface CallAttributes {
  readonly queue?: string;
  readonly user?: string;
  readonly direction?: string;
  readonly division?: string;
  readonly tags?: readonly string[];
  readonly identities?: { readonly ani?: string; readonly dnis?: string; readonly name?: string };
}

export interface InteractionDetail extends Interaction {
  /** The newest of each channel. */
  readonly spans?: readonly Span[];
  readonly spansComplete?: boolean;
  readonly endReason?: string | null;
  readonly attributes?: CallAttributes;
  readonly reception?: readonly ChannelReception[];
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly nextCursor?: string | null;
}

export interface Recording {
  /** The name of its folder. */
  readonly id: string;
  readonly interactionId: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly durationSeconds: number | null;
  readonly state: string;
  readonly endReason?: string | null;
  readonly codec?: string;
  readonly sampleRate?: number;
  readonly channels?: number;
  readonly bytes?: number | null;
  readonly packetsReceived?: number | null;
  readonly packetsLost?: number | null;
}

export interface RecordingSegment {
  /** Of Opus with two channels, the file of the first. */
  readonly file: string;
  readonly startMs: number;
  readonly channels: number;
}

/** GET /api/v1/recordings/{id} */
export interface RecordingDetail extends Recording {
  readonly encrypted?: boolean;
  readonly spans?: readonly Span[];
  readonly segments?: readonly RecordingSegment[];
}

/** GET /api/v1/recordings/{id}/waveform: the extremes of each stretch, −1 to 1, by channel. */
export interface Waveform {
  readonly durationSeconds: number;
  readonly channels: readonly { readonly min: readonly number[]; readonly max: readonly number[] }[];
}
