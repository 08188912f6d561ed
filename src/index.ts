/** The public API of trunkline. */

export type { Clock } from './core/clock.js';
export { ManualClock, systemClock } from './core/clock.js';
export type { Codec, StreamFormat } from './core/codec.js';
export { type ErrorCode, TrunklineError } from './core/errors.js';
export type {
  Channel,
  EndReason,
  FrameSink,
  FrameView,
  MarkedSpan,
  PcmSelection,
  ReceptionCounts,
  SilenceEdge,
  SpanState,
  StreamInfo,
  StreamSummary,
} from './core/events.js';
export {
  AudioEngine,
  type AudioEngineEvents,
  type AudioEngineOptions,
  createEngine,
  type PushedPacket,
  type PushFormat,
  type PushStream,
} from './engine/audio-engine.js';
export type { EngineCounters } from './engine/engine.js';
export type { StreamIngest, StreamOptions } from './engine/input/ingest.js';
export type { EngineOptions } from './engine/options.js';
export { AudioNode, type NodeSettings, type NodeSummary } from './node/audio-node.js';
export { AudioHookNode, type AudioHookNodeSettings, type AudioHookStatus } from './node/audiohook-node.js';
export { CaptureNode, type CaptureStatus } from './node/capture-node.js';
export { tuneHeap } from './node/heap.js';
export type { CaptureNodeEvents, MediaChunk, MediaMetadata, MetadataSync } from './sinks/events/event-sink.js';
export type { AudioHookKey } from './sources/audiohook/protocol/signature.js';
export type { EventEntity } from './sources/audiohook/protocol/wire.js';
export type { AudioHookSessionInfo, AudioHookSessionSummary } from './sources/audiohook/server/connection-contract.js';
export type {
  AudioHookCounters,
  AudioHookRejection,
  RejectionReason,
} from './sources/audiohook/server/server-events.js';
export type { AudioHookLimits, AudioHookServerOptions } from './sources/audiohook/server/server-options.js';
export type { OpenRequest, SessionTiming } from './sources/audiohook/session/session-contract.js';
