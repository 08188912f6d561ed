import type { Channel, StreamInfo } from '../events.js';

/** Why an utterance ended where it did. */
export type UtteranceEnd =
  /** Silence began. */
  | 'silence'
  /** It was as long as `maxMs`, and was split at its quietest frame; the next part follows at once. */
  | 'maxLength'
  /** The audio was withheld by a pause, discarded by the client, or not taken by the engine. */
  | 'noAudio'
  | 'streamEnded'
  /** The reader's utterances had no memory left; what follows up to the next silence is not delivered. */
  | 'noMemory';

/** What one speaker said between two silences. Times count from the start of the stream. */
export interface UtteranceEvent {
  readonly interactionId: string;
  readonly channel: Channel;
  readonly startMs: number;
  readonly endMs: number;
  readonly durationMs: number;
  /** Level from start to end, without lost frames, in dBFS; −100 for digital silence. */
  readonly rmsDbfs: number;
  readonly peakDbfs: number;
  readonly end: UtteranceEnd;
  /** 1, and counting up in the parts of what was split at `maxMs`. */
  readonly part: number;
}

/** An utterance with its audio. */
export interface Utterance extends UtteranceEvent {
  /** The stream that it is of. */
  readonly info: StreamInfo;
  /** PCM, 16 bit, little-endian, at `sampleRate`, with pre-roll and post-roll; concealment where packets were lost. */
  readonly audio: Buffer;
  readonly sampleRate: number;
  /** Where `audio` begins: `startMs` less the pre-roll, as far as there was audio that belongs to no other utterance. */
  readonly audioStartMs: number;
}

export interface UtteranceLimits {
  /** What is shorter is no utterance, in milliseconds; 0 to 10,000; default 100. Its frames are delivered as all others. */
  readonly minMs?: number;
  /** What is longer is split at the quietest frame of the last third, in milliseconds; 1,000 to 600,000; default 30,000. */
  readonly maxMs?: number;
}

export interface UtteranceAudioOptions extends UtteranceLimits {
  /** Audio before the start, in milliseconds; 0 to 2,000; default 200. */
  readonly preRollMs?: number;
  /** Audio after the end, in milliseconds; 0 to 2,000; default 200. */
  readonly postRollMs?: number;
  /** Memory for the audio of what is being spoken, of all streams together, in megabytes; 1 to 4,096; default 256. */
  readonly maxBufferedMegabytes?: number;
}
