import type { EventEmitter } from 'node:events';
import type { ArchiveState, RecordingArchived } from '../../core/archive-events.js';
import type { TrunklineError } from '../../core/errors.js';
import type {
  FrameSink,
  FrameView,
  MarkedSpan,
  OneWayAudio,
  OneWayAudioEnded,
  PauseEvent,
  PcmSelection,
  RecordingAttributesChanged,
  SilenceEdge,
  SpeechRoll,
  StreamInfo,
  StreamResult,
  StreamSummary,
} from '../../core/events.js';
import type { UtteranceStart } from '../../core/media/live-utterance.js';
import { chunkOf, type MediaChunk, type MetadataSync } from '../../core/media/media-chunk.js';
import { type SpeechChunkOptions, SpeechChunks } from '../../core/media/speech-chunks.js';
import type { UtteranceEvent } from '../../core/media/utterance.js';
import { Utterances } from '../../core/media/utterances.js';
import type { SinkEvents } from '../sink.js';

/** An event of a source, under its own name. */
export interface SourceEvent {
  /** Name of the source. */
  readonly source: string;
  readonly name: string;
  readonly values: readonly unknown[];
}

/** Events that every node has, whatever its sources are. */
export interface NodeEvents extends SinkEvents {
  /** Each frame with speech and `preRollMs` before it; all silent ones too with `includeSilent`. */
  mediaChunk: [chunk: MediaChunk];
  /**
   * The same chunks, all that have been decoded since the last event at once: for consumers that take many at a time, such
   * as one that writes them to a socket. Each batch comes before the `streamEnded` of its streams.
   */
  chunks: [chunks: readonly MediaChunk[]];
  /** Each frame, silent or not. */
  metadataSync: [sync: MetadataSync];
  /** A speaker has begun: once for each `utterance` to come, as soon as its onset is known, some 40 ms behind it. */
  utteranceStarted: [start: UtteranceStart];
  /** What one speaker has said between two silences, when it has ended: 100 ms to 30 s; what is longer comes in parts. */
  utterance: [utterance: UtteranceEvent];
  streamOpened: [info: StreamInfo];
  /** What is known of a call has changed while its stream is open: see `info.attributes`. */
  attributesChanged: [info: StreamInfo];
  streamEnded: [info: StreamInfo, summary: StreamSummary];
  /** What became of a stream: once for each, after `streamEnded`, when its files are finished. */
  streamFinished: [info: StreamInfo, result: StreamResult];
  /** A channel fell silent or became audible. */
  silence: [edge: SilenceEdge];
  /** A span of a channel that has no audio, paused or discarded; emitted when its length is known. */
  marked: [span: MarkedSpan];
  /** Nothing has come from one side of a call while the other one spoke for ten seconds: once for each occurrence. */
  oneWayAudio: [event: OneWayAudio];
  /** That side has a signal again, or its stream has ended, before `streamEnded`: once for each `oneWayAudio`. */
  oneWayAudioEnded: [event: OneWayAudioEnded];
  /** An interaction's audio is withheld from now on, or no longer, and by whom. */
  paused: [event: PauseEvent];
  /** Something failed; capture goes on where it can. Faults of listeners and of sinks come here as well. */
  error: [error: Error];
  /** Any event of a source, beside the event itself; for what passes events on and knows no source. */
  sourceEvent: [event: SourceEvent];
  /** A worker thread died and was replaced. */
  workerRestarted: [event: { readonly name: string; readonly cause: string }];
  /** Attributes of a finished recording were changed. */
  recordingAttributesChanged: [recording: RecordingAttributesChanged];
  /** s3Archive() has uploaded a recording: the bucket has every byte of it. */
  recordingArchived: [recording: RecordingArchived];
  /** The bucket of s3Archive() begins to fail, fails for another reason, or works again. */
  archiveState: [state: ArchiveState];
  /** The node takes no new calls from now on. */
  draining: [];
  /** The engine can no longer do its work. */
  failed: [error: TrunklineError];
}

/** Turns what the engine delivers into the node's events. An event without listeners is never made. */
export class EventSink implements FrameSink {
  readonly #node: EventEmitter<NodeEvents>;
  readonly #speech: SpeechChunks;
  readonly #utterances: Utterances;
  /** Somebody listens for `mediaChunk`, for `chunks`. */
  #chunks = false;
  #batches = false;
  #batch: MediaChunk[] = [];
  #hasUtterances = false;
  #syncs = false;

  constructor(node: EventEmitter<NodeEvents>, options: SpeechChunkOptions) {
    this.#node = node;
    this.#speech = new SpeechChunks(options, (frame, roll) => {
      const chunk = chunkOf(frame, roll);
      if (this.#batches) this.#batch.push(chunk);
      if (this.#chunks) this.#node.emit('mediaChunk', chunk);
    });
    this.#utterances = new Utterances(
      {},
      false,
      ({ info: _, audio, sampleRate, audioStartMs, ...utterance }) => this.#node.emit('utterance', utterance),
      (start) => {
        this.#node.emit('utteranceStarted', start);
        return undefined;
      },
    );
  }

  /** Checks who listens; called when listeners are added or removed, not for each frame. */
  refresh(): void {
    this.#chunks = this.#node.listenerCount('mediaChunk') > 0;
    this.#batches = this.#node.listenerCount('chunks') > 0;
    this.#syncs = this.#node.listenerCount('metadataSync') > 0;
    this.#hasUtterances = this.#node.listenerCount('utterance') + this.#node.listenerCount('utteranceStarted') > 0;
  }

  takesFramesOf(): boolean {
    return this.#takesChunks || this.#syncs || this.#hasUtterances;
  }

  pcmSelection(): PcmSelection {
    return this.#takesChunks ? this.#speech.selection : 'none';
  }

  pcmRoll(): SpeechRoll | undefined {
    return this.#takesChunks ? this.#speech.roll : undefined;
  }

  get #takesChunks(): boolean {
    return this.#chunks || this.#batches;
  }

  preRoll(frame: FrameView, speechSamples: number): void {
    if (this.#takesChunks) this.#speech.takePreRoll(frame, speechSamples);
  }

  batchEnd(): void {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#node.emit('chunks', batch);
  }

  streamOpened(info: StreamInfo): void {
    this.#node.emit('streamOpened', info);
  }

  attributesChanged(info: StreamInfo): void {
    this.#node.emit('attributesChanged', info);
  }

  frame(frame: FrameView): void {
    if (this.#hasUtterances) this.#utterances.frame(frame);
    if (this.#takesChunks) this.#speech.take(frame);
    if (!this.#syncs) return;
    const { channel, timestamp, sequenceNumber } = frame;
    this.#node.emit('metadataSync', { interactionId: frame.info.interactionId, channel, timestamp, sequenceNumber });
  }

  silenceEdge(edge: SilenceEdge): void {
    if (this.#hasUtterances) this.#utterances.silenceEdge(edge);
    this.#node.emit('silence', edge);
  }

  markedSpan(span: MarkedSpan): void {
    if (this.#hasUtterances) this.#utterances.markedSpan(span);
    this.#node.emit('marked', span);
  }

  streamEnded(info: StreamInfo, summary: StreamSummary): void {
    this.batchEnd();
    this.#speech.streamEnded(info);
    if (this.#hasUtterances) this.#utterances.streamEnded(info);
    this.#node.emit('streamEnded', info, summary);
  }
}
