/** The public API of trunkline. */

export type { ArchiveStats } from './archive/archive.js';
export { type ArchiveNode, S3Archive, type S3ArchiveStats, s3Archive } from './archive/s3-archive.js';
export type { BucketState } from './archive/upload/attempts.js';
export type { S3ArchiveOptions, UploadSettings } from './archive/upload/options.js';
export type { BucketSettings } from './archive/upload/settings.js';
export type { ArchiveUploads, UploadReport } from './archive/upload/upload-report.js';
export type { FormerOptions } from './config/schema.js';
export { Control, type ControlStats, control } from './control/control.js';
export type { ControlLimits, ControlOptions } from './control/options.js';
export type * from './core/archive-events.js';
export {
  type AttributeComparison,
  type AttributeCondition,
  type AttributeRule,
  parseAttributeRule,
} from './core/attributes/attribute-rule.js';
export {
  type AttributeChange,
  CALL_DIRECTIONS,
  type CallAttributes,
  type CallDirection,
  type CallIdentities,
} from './core/attributes/attributes.js';
export type { Clock } from './core/clock.js';
export { ManualClock, systemClock } from './core/clock.js';
export type { Codec, StreamFormat } from './core/codec.js';
export type { GuardedEmitter } from './core/emitter.js';
export { ERROR_CODES, type ErrorCode, TrunklineError } from './core/errors.js';
export type * from './core/events.js';
export type { HealthCheck, HealthReport, HealthStatus } from './core/health.js';
export type { Logger, LogMethod } from './core/logger.js';
export type { LiveUtterance, UtteranceStart } from './core/media/live-utterance.js';
export type { MediaChunk, MediaMetadata, MetadataSync } from './core/media/media-chunk.js';
export type { RollOptions } from './core/media/speech-chunks.js';
export type {
  Utterance,
  UtteranceAudioOptions,
  UtteranceEnd,
  UtteranceEvent,
  UtteranceLimits,
} from './core/media/utterance.js';
export type { CertifiedKey } from './core/network/certificate.js';
export type { RetentionSettings } from './core/retention/policy.js';
export type { BucketCounts } from './core/statistics/buckets.js';
export type * from './core/statistics/quality.js';
export {
  AudioEngine,
  type AudioEngineEvents,
  type AudioEngineOptions,
  type CreateEngineOptions,
  createEngine,
  type PushedPacket,
  type PushFormat,
  type PushOptions,
  type PushStream,
} from './engine/audio-engine.js';
export type { DecodingCounters, EngineCounters } from './engine/engine.js';
export type { EngineState, RingState, ShardState } from './engine/engine-state.js';
export type * from './engine/input/ingest.js';
export { CLAIM } from './engine/input/ingest.js';
export type { PacketBatch } from './engine/input/packet-batch.js';
export type { PayloadArena } from './engine/input/payload-arena.js';
export type { EngineOptions } from './engine/options.js';
export type {
  AudioFrame,
  ChunkOptions,
  FrameOptions,
  FrameQueue,
  QueueOptions,
  UtteranceOptions,
} from './engine/output/frame-queue.js';
export type { LiveUtteranceOptions } from './engine/output/live-utterances.js';
export type { ThreadState } from './engine/threads/pool.js';
export { AudioNode } from './node/audio-node.js';
export { AudioHookNode, type AudioHookNodeEvents, type AudioHookNodeSettings } from './node/audiohook-node.js';
export { CaptureNode, type CaptureNodeEvents, type CaptureStatus } from './node/capture-node.js';
export { type CreateNodeOptions, createNode, type NodeWith } from './node/create-node.js';
export { tuneHeap } from './node/heap.js';
export type { NodeStats } from './node/node-stats.js';
export type { NodeEngineOptions, NodeOptions, StartOptions, WaitOptions } from './node/options.js';
export type { RunningNode, Service, ServiceContext } from './node/service.js';
export type { EffectiveSettings, NodeSettings, OutputSettings, SettingWithoutDefault } from './node/settings.js';
export type { OutcomeCounts } from './node/streams/outcomes.js';
export type { NodeSummary } from './node/summary.js';
export type { AudioNodeClass, AudioNodeOf, Emits } from './node/typed-events.js';
export type { Refusals } from './node/watch/refusals.js';
export type { LoggedWarning, WarningLog } from './node/watch/warning-log.js';
export type { PacketColumns } from './rtp/packet-columns.js';
export type { PacketRing } from './rtp/packet-ring.js';
export { AuditSink, type AuditSinkOptions, audit } from './sinks/audit/audit-sink.js';
export type { NodeEvents, SourceEvent } from './sinks/events/event-sink.js';
export type { Latency, MetricsSnapshot, Rates, Throughput } from './sinks/metrics/metrics.js';
export type { GuardedReadable } from './sinks/monitor/guarded-readable.js';
export type { ListenOptions, ListenStream } from './sinks/monitor/listen-stream.js';
export type { MonitorLine, MonitorOptions, MonitorStream } from './sinks/monitor/monitor-stream.js';
export { type RecorderOptions, RecorderSink, recorder } from './sinks/recorder/recorder-sink.js';
export type { RepairedRecording, RepairReport } from './sinks/recorder/repair.js';
export type {
  ArchivePlace,
  AuditKeeper,
  DiskLowEvent,
  RecordingCause,
  RecordingRepairedEvent,
  RecordingResult,
  Sink,
  SinkAgent,
  SinkContext,
  SinkEvents,
  SinkStats,
} from './sinks/sink.js';
export {
  AudioHook,
  type AudioHookEvents,
  type AudioHookOptions,
  type AudioHookStatus,
  audioHook,
} from './sources/audiohook/audiohook.js';
export type { MediaChannel, SelectedMedia } from './sources/audiohook/protocol/media.js';
export type { PublicAddressOptions } from './sources/audiohook/protocol/public-address.js';
export type { AudioHookKey, AuthFailure } from './sources/audiohook/protocol/signature.js';
export type { CloseReason, EventEntity } from './sources/audiohook/protocol/wire.js';
export type {
  AudioHookSessionInfo,
  AudioHookSessionSummary,
  ConnectionIdentity,
} from './sources/audiohook/server/connection-contract.js';
export type {
  AudioHookCounters,
  AudioHookHealth,
  AudioHookRejection,
  RejectionReason,
} from './sources/audiohook/server/server-events.js';
export type {
  AudioHookLimits,
  AudioHookServerOptions,
  Replacement,
} from './sources/audiohook/server/server-options.js';
export type { OpenRequest, SessionFault, SessionTiming } from './sources/audiohook/session/session-contract.js';
export type { SessionCounts } from './sources/audiohook/session/session-counts.js';
export type { ContinuationRefusal } from './sources/audiohook/session/streams.js';
export type { SourceCounters } from './sources/genesys/counters.js';
export type { DiscoveryStatus } from './sources/genesys/discovery/discovery.js';
export type { ChannelStatus } from './sources/genesys/discovery/notification-channel.js';
export {
  type GenesysEvents,
  type GenesysStatus,
  GenesysSubscription,
  type GenesysSubscriptionOptions,
  genesysSubscription,
} from './sources/genesys/genesys-subscription.js';
export type { ConnectionState } from './sources/genesys/media/connection-outputs.js';
export type { Availability } from './sources/genesys/rest/conversations.js';
export type { ConnectionStatus, DisconnectCause, SourceStatus, SubscriptionResult } from './sources/genesys/source.js';
export type * from './sources/source.js';
export type { WebhookStats } from './webhooks/delivery/delivery.js';
export type * from './webhooks/message.js';
export type { WebhookOptions } from './webhooks/options.js';
export { Webhooks, webhooks } from './webhooks/webhooks.js';
