import type { CallAttributes } from './attributes/attributes.js';
import type { Codec } from './codec.js';
import type { ChannelQuality, QualityReport } from './statistics/quality.js';

/** 0 = external (the customer), 1 = internal (what the customer hears). */
export type Channel = 0 | 1;

/** Why a stream came to its end. After `formatChanged`, a stream in the new format continues the interaction. */
export type EndReason =
  | 'ended'
  | 'unsubscribed'
  | 'stopped'
  | 'lost'
  | 'error'
  | 'mediaNotAvailable'
  | 'interrupted'
  | 'formatChanged';

/**
 * How speech is told from silence. `adaptive`: against a noise floor that follows each channel. `fixed`: by a threshold and
 * a sliding window. `neural`: as `adaptive`, with a neural network where that leaves doubt.
 */
export const SILENCE_DETECTORS = ['adaptive', 'fixed', 'neural'] as const;
export type SilenceDetector = (typeof SILENCE_DETECTORS)[number];

/** As they stand in the stream table; the Rust side has the same numbers. */
export const DETECTOR_ID = { fixed: 0, adaptive: 1, neural: 2 } as const satisfies Record<SilenceDetector, number>;

/** What a span of a recording is. */
/** What a silence is made of where that is not background noise (audio/silence-kind.ts says when). */
export type SilenceKind = 'digital' | 'comfortNoise';
export type SpanState = 'speech' | 'silence' | 'lost' | 'paused' | 'discarded';

/** Spans without audio by somebody's decision. */
export type MarkedState = 'paused' | 'discarded';

/** Of a stream that continues an interaction after a change of format: where it belongs. */
export interface StreamSegment {
  /** 2 after the first change of format, then 3, and so on. */
  readonly number: number;
  /** `startedAtMs` of the interaction's first stream. */
  readonly firstStartedAtMs: number;
  /** Where this stream begins on the time line of the first stream, in milliseconds. */
  readonly startMs: number;
}

/** What is known of a stream when it opens. */
export interface StreamInfo {
  /** Index in the stream table; may be used again after the stream has ended. */
  readonly stream: number;
  readonly interactionId: string;
  readonly codec: Codec;
  readonly clockRate: number;
  readonly sampleRate: number;
  readonly channels: 1 | 2;
  /** Wall clock, milliseconds since 1970. */
  readonly startedAtMs: number;
  /** The organization that the call belongs to, where the source knows it. */
  readonly organizationId?: string;
  /** Name of the source that brings it; absent when an embedder pushes its packets. */
  readonly source?: string;
  /** Absent for the first stream of an interaction. */
  readonly segment?: StreamSegment;
  /** Queue, direction, tags and the like, as they are now: they may change while the stream is open. Absent when none is known. */
  readonly attributes?: CallAttributes;
}

/** `recordingAttributesChanged`: attributes of a finished recording were changed. */
export interface RecordingAttributesChanged {
  readonly interactionId: string;
  /** Its folder within the output directory. */
  readonly folder: string;
  /** All that are known now. */
  readonly attributes: CallAttributes;
}

/**
 * Reception counts of one channel or, added up, of a stream. RFC 3550 A.3, with late and duplicate packets told
 * apart. `packetsReceived` counts each sequence number once, so received + lost = due.
 */
export interface ReceptionCounts {
  packetsReceived: number;
  /** Payload bytes of the packets counted in packetsReceived. */
  bytesReceived: number;
  /** Never arrived. A late packet is not lost. */
  packetsLost: number;
  /** Arrived after its place had been given up; counted in packetsReceived, replaced by concealment in live audio. */
  packetsLate: number;
  /**
   * Of the late ones, those that were handed on to the recording. The few that it could not use after all are counted on
   * their own (`lateOpusUnrepaired`, `recorderRefused`, `latePacketsLeftOut`); `packetsRepaired` of session.json is what
   * is in the file.
   */
  packetsRepaired: number;
  packetsDuplicate: number;
  /** Belonged to a second numbering that ran on the same channel at the same time, and were not used. */
  packetsForeign: number;
  /** Arrived after a packet with a higher sequence number. */
  packetsReordered: number;
  /** Interarrival jitter, RFC 3550 A.8, in microseconds; of a stream, the larger of its channels. */
  jitterUs: number;
  /** Packets that the engine itself threw away because a ring or the arena was full. */
  packetsDropped: number;
}

/** Reception of one channel of an open stream. */
export interface ChannelReception extends ReceptionCounts, ChannelQuality {
  /**
   * How long the channel's next packet is held at most, in microseconds; 0 for ordered streams. With adaptive delays it is
   * held only while packets before it are missing.
   */
  readonly playoutDelayUs: number;
}

export interface StreamSummary extends ReceptionCounts {
  /** Of the packets received, those withheld because the stream was paused; absent when there were none. */
  readonly packetsPaused?: number;
  /** Estimates for each channel; absent when nothing arrived. */
  readonly quality?: readonly QualityReport[];
  readonly endReason: EndReason;
  /** Wall clock, milliseconds since 1970. */
  readonly endedAtMs: number;
}

/**
 * What became of a stream. With a recorder:
 *
 * - `recorded`: its recording is finished and has all that was captured.
 * - `empty`: nothing arrived; there are no files.
 * - `incomplete`: there is a recording, of which a part or the end is missing.
 * - `failed`: there is no finished recording. What files there are need `trunkline repair`.
 *
 * Without a recorder nothing is `recorded`: the stream was `delivered` to the sinks, was `empty`, was delivered without
 * packets that the engine had to drop (`incomplete`), or its end never came out of the engine (`failed`).
 */
export type StreamOutcome = 'recorded' | 'delivered' | 'empty' | 'incomplete' | 'failed';

/**
 * Why a stream is `incomplete` or `failed`:
 *
 * - `notWritten`: the disk was full, too slow or not writable.
 * - `interrupted`: the recorder did not learn how the stream ended.
 * - `refused`: the recorder had no space for another recording.
 * - `packetsDropped`: the engine had no space for packets.
 * - `recorderFailed`, `engineFailed`: a thread died again and again, or did not finish before the node closed.
 */
export type OutcomeCause =
  | 'notWritten'
  | 'interrupted'
  | 'refused'
  | 'packetsDropped'
  | 'recorderFailed'
  | 'engineFailed';

/** How a stream ended and what became of it. Each stream gets one. */
export interface StreamResult {
  readonly outcome: StreamOutcome;
  /** Present when the outcome is `incomplete` or `failed`. */
  readonly cause?: OutcomeCause;
  readonly summary: StreamSummary;
  /** Its files; absent when there are none. */
  readonly recording?: {
    /** Folder within the output directory. */
    readonly folder: string;
    /** Its audio file in that folder. */
    readonly file: string;
    readonly durationMs: number;
    /** Audio that could not be written, in milliseconds, all channels added up. */
    readonly notRecordedMs: number;
  };
}

/**
 * One decoded frame as it lies in the ring. The object and everything it refers to are valid only until the
 * callback returns; copy what must live longer.
 */
export interface FrameView {
  readonly info: StreamInfo;
  readonly channel: Channel;
  /** Unwrapped: goes on beyond 65535. */
  readonly sequenceNumber: number;
  /** RTP timestamp, unwrapped, in units of info.clockRate. */
  readonly timestamp: number;
  /** Samples from the start of the stream to the start of this frame, at info.sampleRate. */
  readonly positionSamples: number;
  readonly sampleCount: number;
  /** Mean of the squared samples of full scale, 0 to 1; the RMS level is its root. */
  readonly meanSquare: number;
  /** Largest magnitude, 0 to 32768. */
  readonly peak: number;
  readonly isSilent: boolean;
  /** Made up in place of a packet that was lost, late or could not be decoded. */
  readonly concealed: boolean;
  /** The packet never arrived in time; `concealed` is true as well. */
  readonly lost: boolean;
  readonly decodeError: boolean;
  /** Arrival of the packet, microseconds of core/clock. */
  readonly arrivalUs: number;
  /** End of decoding, microseconds of core/clock. */
  readonly processedUs: number;
  /** Delivery to the sinks, microseconds of core/clock; read once for a batch of frames. */
  readonly deliveredUs: number;
  /** True when the samples were passed on; silent ones are not unless somebody wants them. */
  readonly hasPcm: boolean;
  /** A copy of the samples: 16-bit signed, `sampleCount` long, or empty when `hasPcm` is false. */
  copyPcm(): Int16Array;
  /** Copies them into `target` from `at` on, if `hasPcm`; returns how many. */
  copyPcmTo(target: Int16Array, at?: number): number;
  /** The same as bytes, little-endian; cheaper, because it comes out of Node's buffer pool. */
  copyPcmBytes(): Buffer;
}

/** Silence began or ended on one channel, or what it is made of has changed. */
export interface SilenceEdge {
  readonly info: StreamInfo;
  readonly channel: Channel;
  readonly silent: boolean;
  /**
   * Of a silence, once it has lasted 1 s as such: `digital`, where all samples are the same, or `comfortNoise`, where the
   * sender does not send silence. Absent for background noise.
   */
  readonly kind?: SilenceKind;
  /** Where on the stream's time line it did, in samples from its start. */
  readonly positionSamples: number;
}

/** One side of a call cannot be understood because nothing comes from it, while the other one speaks. */
export interface OneWayAudio {
  readonly info: StreamInfo;
  /** The channel without a signal. */
  readonly channel: Channel;
  /** `noPackets`: nothing arrives, a dead leg; `digitalSilence`: packets arrive, with nothing but zeros. */
  readonly cause: 'noPackets' | 'digitalSilence';
}

/** That side has a signal again, or the stream has ended without one. */
export interface OneWayAudioEnded extends OneWayAudio {
  readonly reason: 'signal' | 'streamEnded';
}

/** A stretch of one channel's time line that has no audio, and why. */
export interface MarkedSpan {
  readonly info: StreamInfo;
  readonly channel: Channel;
  /** `lost`: the engine dropped these packets, because a shard took none for too long. */
  readonly state: MarkedState | 'lost';
  readonly startSamples: number;
  readonly lengthSamples: number;
}

/** Silence around speech, in milliseconds. */
export interface SpeechRoll {
  readonly preRollMs: number;
  readonly postRollMs: number;
}

export type PcmSelection = 'none' | 'speech' | 'all';

/** Something that takes what the engine puts out. Called on the main thread; must not block and must not throw. */
export interface FrameSink {
  /**
   * Which of a stream's frames this sink wants with their samples; `none` when absent. Asked when the stream opens and
   * at Engine.refreshWants(); frames without samples still come.
   */
  pcmSelection?(info: StreamInfo): PcmSelection;
  /**
   * Whether frame() is called for the frames of a stream; for all when absent. Asked when the stream opens and at
   * Engine.refreshWants(): a sink of few streams costs the frames of the others nothing.
   */
  takesFramesOf?(info: StreamInfo): boolean;
  /**
   * How much silence around speech this sink wants with its samples, if any; asked when pcmSelection() is. Of the
   * silence behind speech, frame() then has the samples. That before speech is kept on the shards until there is
   * speech, and comes by preRoll().
   */
  pcmRoll?(info: StreamInfo): SpeechRoll | undefined;
  streamOpened?(info: StreamInfo): void;
  frame?(frame: FrameView): void;
  /**
   * A silent frame, with its samples, which frame() has had without them; called for the frames before speech, in order,
   * just before frame() has the first one with speech, which begins at `speechSamples`. They go as far back as the sink
   * with the longest pre-roll wants.
   */
  preRoll?(frame: FrameView, speechSamples: number): void;
  /** The frames that were there have been delivered; called once for each batch of them, some milliseconds of audio long. */
  batchEnd?(): void;
  silenceEdge?(edge: SilenceEdge): void;
  markedSpan?(span: MarkedSpan): void;
  /** `info.attributes` of an open stream has changed. */
  attributesChanged?(info: StreamInfo): void;
  streamEnded?(info: StreamInfo, summary: StreamSummary): void;
}

/** A file of a recording, as it was when an entry of the audit was made. */
export interface AuditedFile {
  readonly name: string;
  readonly bytes: number;
  /** Of its content, in hex. */
  readonly sha256: string;
}

/** A finished recording, in an entry of the audit. */
export interface AuditedRecording {
  /** Folder within the output directory. An audit that does not show ids has `hidden-` and an HMAC in its place. */
  readonly folder: string;
  /** The key of that HMAC, in hex, which follows from `session.json`. It is not written. */
  readonly folderKey: string;
  readonly files?: readonly AuditedFile[];
}

/** What an audit entry may say beside its action; nothing else is ever written. Texts are redacted. */
export interface AuditFields {
  readonly channel?: Channel;
  readonly reason?: string;
  /** What became of a stream: `recorded`, `delivered`, `empty`, `incomplete` or `failed`. */
  readonly outcome?: string;
  readonly code?: string | number;
  readonly attempt?: number;
  /** A media connection, numbered from 0. */
  readonly connection?: number;
  readonly positionMs?: number;
  readonly packetsReceived?: number;
  readonly packetsLost?: number;
  /** MOS-LQ of a stream, its lowest and its mean; of the channel where they are lower. */
  readonly mosLqMin?: number;
  readonly mosLqMean?: number;
  /** A signalling session; named as interactions are, by its pseudonym where there is a key. */
  readonly sessionId?: string;
  readonly organizationId?: string;
  /** Name of the token that a request to the control server was made with. */
  readonly actor?: string;
  /** Address that a request to the control server came from. */
  readonly remoteAddress?: string;
  /** A sentence on `reason`. */
  readonly detail?: string;
  readonly durationMs?: number;
  /** Audio that was kept, withheld by a pause, and discarded by the client. */
  readonly keptMs?: number;
  readonly pausedMs?: number;
  readonly discardedMs?: number;
  readonly framesReceived?: number;
  readonly messagesReceived?: number;
  readonly messagesSent?: number;
  readonly faults?: number;
  /** Bytes of audio that were dropped, for a reason other than a pause. */
  readonly bytesIgnored?: number;
  /** Times that a client had to wait because a ring was full. */
  readonly stalls?: number;
  readonly recording?: AuditedRecording;
  /** Finished recordings that have no digest yet. */
  readonly recordings?: number;
}

/** One party withholds an interaction's audio from now on, or no longer. Audio flows when no party withholds it. */
export interface PauseEvent {
  readonly interactionId: string;
  readonly paused: boolean;
  /** `platform`: its secure pause; `client`: an AudioHook client; `operator`: pause() and resume() of the node. */
  readonly by: 'platform' | 'client' | 'operator';
}

/** An entry of a source for the audit. */
export interface AuditEntry {
  /** Name of the source. */
  readonly source: string;
  /** Such as `connected` or `audiohook_opened`. */
  readonly action: string;
  readonly interactionId?: string;
  readonly fields: AuditFields;
}
