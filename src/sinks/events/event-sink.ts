import type { Buffer } from 'node:buffer';
import type { EventEmitter } from 'node:events';
import type { TrunklineError } from '../../core/errors.js';
import type {
  Channel,
  EndReason,
  FrameSink,
  FrameView,
  PcmSelection,
  SilenceEdge,
  StreamInfo,
  StreamSummary,
} from '../../core/events.js';
import type {
  AudioHookSessionInfo,
  AudioHookSessionSummary,
} from '../../sources/audiohook/server/connection-contract.js';
import type { AudioHookRejection } from '../../sources/audiohook/server/server-events.js';

/** One frame of decoded audio, to keep. */
export interface MediaChunk {
  /** PCM, 16 bit, little-endian, at metadata.sampleRate. */
  readonly payload: Buffer;
  readonly metadata: MediaMetadata;
  readonly isSilent: boolean;
  /** When it had been decoded; microseconds of the machine's monotonic clock. */
  readonly processedAt: number;
}

export interface MediaMetadata extends MetadataSync {
  readonly sampleRate: number;
  /** From the start of the stream, at sampleRate. */
  readonly positionSamples: number;
  /** Made up in place of a packet that was lost or could not be decoded. */
  readonly concealed: boolean;
}

/** What an external recording system needs to line up with the interaction. */
export interface MetadataSync {
  readonly interactionId: string;
  readonly channel: Channel;
  /** RTP timestamp and sequence number, unwrapped: they go on growing where those on the wire begin anew. */
  readonly timestamp: number;
  readonly sequenceNumber: number;
}

/** All events of a node. */
export interface CaptureNodeEvents {
  /** Each frame with speech; silent ones too with includeSilent. */
  mediaChunk: [chunk: MediaChunk];
  /** Each frame, silent or not. */
  metadataSync: [sync: MetadataSync];
  /** A media connection is open, for the first time or again; connections are numbered from 0. */
  connected: [event: { readonly connection: number; readonly interactions: number; readonly again: boolean }];
  /** A media connection was lost or closed; reconnecting goes on by itself, and takes its interactions along. */
  disconnected: [
    event: {
      readonly code: number;
      readonly reason: string;
      readonly connection: number;
      readonly interactions: number;
    },
  ];
  /** A channel by which calls of queues and users are found delivers from now on, or no longer; it comes back. */
  notifications: [event: { readonly listening: boolean; readonly reason: string }];
  /** A media connection answered a ping. */
  heartbeat: [event: { readonly connection: number }];
  /** A media connection is given up; its streams end with reason `lost`. */
  maxReconnectReached: [event: { readonly connection: number; readonly attempts: number }];
  /** Something failed that somebody should know of; capture goes on where it can. */
  error: [error: Error];
  streamOpened: [info: StreamInfo];
  streamEnded: [info: StreamInfo, summary: StreamSummary];
  /** An interaction is no longer captured, whether or not a stream of it was opened. */
  interactionEnded: [event: { readonly interactionId: string; readonly reason: EndReason; readonly detail: string }];
  /** The audio of an interaction is withheld from now on, for a secure pause, or no longer. */
  paused: [event: { readonly interactionId: string; readonly paused: boolean }];
  /** A channel fell silent or spoke up. */
  silence: [edge: SilenceEdge];
  /** A worker thread died and was replaced. */
  workerRestarted: [event: { readonly name: string; readonly cause: string }];
  /** The engine can no longer do its work. */
  failed: [error: TrunklineError];
  /** AudioHook only: a client's `open` has been answered. Probes come, too. */
  sessionOpened: [info: AudioHookSessionInfo];
  /** AudioHook only: a connection is gone, whether or not a session was opened over it. */
  sessionEnded: [summary: AudioHookSessionSummary];
  /** AudioHook only: a request did not become a session; the client was told the status and nothing else. */
  rejected: [rejection: AudioHookRejection];
}

/** Turns frames into the node's events. An event that nobody listens to is never made. */
export class EventSink implements FrameSink {
  readonly #node: EventEmitter<CaptureNodeEvents>;
  readonly #includeSilent: boolean;
  #chunks = false;
  #syncs = false;

  constructor(node: EventEmitter<CaptureNodeEvents>, includeSilent: boolean) {
    this.#node = node;
    this.#includeSilent = includeSilent;
  }

  /** Looks who listens; called when listeners come and go, not for each frame. */
  refresh(): void {
    this.#chunks = this.#node.listenerCount('mediaChunk') > 0;
    this.#syncs = this.#node.listenerCount('metadataSync') > 0;
  }

  pcmSelection(): PcmSelection {
    if (!this.#chunks) return 'none';
    return this.#includeSilent ? 'all' : 'speech';
  }

  streamOpened(info: StreamInfo): void {
    this.#node.emit('streamOpened', info);
  }

  frame(frame: FrameView): void {
    if (!this.#chunks && !this.#syncs) return;
    const { interactionId, sampleRate } = frame.info;
    const { channel, timestamp, sequenceNumber, isSilent } = frame;
    if (this.#chunks && (this.#includeSilent || !isSilent) && frame.hasPcm) {
      this.#node.emit('mediaChunk', {
        payload: frame.copyPcmBytes(),
        metadata: {
          interactionId,
          channel,
          timestamp,
          sequenceNumber,
          sampleRate,
          positionSamples: frame.positionSamples,
          concealed: frame.concealed,
        },
        isSilent,
        processedAt: frame.processedUs,
      });
    }
    if (this.#syncs) this.#node.emit('metadataSync', { interactionId, channel, timestamp, sequenceNumber });
  }

  silenceEdge(edge: SilenceEdge): void {
    this.#node.emit('silence', edge);
  }

  streamEnded(info: StreamInfo, summary: StreamSummary): void {
    this.#node.emit('streamEnded', info, summary);
  }
}
