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
  PcmWish,
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
export type { EngineCounters, EngineOptions } from './engine/engine.js';
export type { StreamIngest, StreamOptions } from './engine/ingest.js';
export { AudioNode, type NodeSettings, type NodeSummary } from './node/audio-node.js';
export { CaptureNode, type CaptureStatus } from './node/capture-node.js';
export type { CaptureNodeEvents, MediaChunk, MediaMetadata, MetadataSync } from './node/event-sink.js';
