import type { Encryption } from '../encryption/encryption.js';
import type { RecordingPlaces } from '../folders/recording-places.js';
import type { RecorderMemory } from '../recorder-memory.js';
import type { RecordingResults } from '../recording-results.js';
import type { FileAccess } from './folder.js';
import type { AudioFormat, Manifest } from './manifest.js';
import type { UnfinishedIndex } from './unfinished.js';
import type { Writer } from './writer.js';

/** What all recordings of one recorder share. */
export interface RecordingContext {
  readonly memory: RecorderMemory;
  readonly outDir: string;
  readonly access: FileAccess;
  readonly places: RecordingPlaces;
  /** What recordings are stored as. */
  readonly format: AudioFormat;
  /** Whether the native addon may code FLAC. */
  readonly usesNative: boolean;
  readonly unfinished: UnfinishedIndex;
  readonly flushUs: number;
  readonly headerUs: number;
  readonly checkpointUs: number;
  readonly writer: Writer;
  /** To interleave two channels in; four write buffers long. */
  readonly scratch: Int16Array;
  /** Takes what became of each recording; undefined when nobody wants to know. */
  readonly results: RecordingResults | undefined;
  /** Undefined when recordings are stored as they are. */
  readonly encryption: Encryption | undefined;
}

/** What the files of a recording need to know of it. */
export interface RecordingContent {
  /** The manifest of this stream alone, as of now or with its end. */
  manifest(isFinal: boolean): Manifest;
  /** A checkpoint holds everything that is known. */
  checkpointed(): void;
  /** The files were removed with everything that had been written. */
  removed(nowUs: number): void;
}

/** A checkpoint writes all spans again; long recordings wait longer for it, so that its cost stays even. */
const CHECKPOINT_US_PER_NOTE = 50_000;

/**
 * Least time between two checkpoints of a recording with so many notes. Some cannot wait long: without them a repair after
 * a kill would call a stretch silence that has no audio, or one lost that a late packet has filled.
 */
export function checkpointEveryUs(
  { flushUs, headerUs, checkpointUs }: RecordingContext,
  notes: number,
  isUrgent: boolean,
  { isUnsaved }: { readonly isUnsaved: boolean },
): number {
  const leastUs = isUrgent ? flushUs : isUnsaved ? Math.min(headerUs, checkpointUs) : checkpointUs;
  return Math.max(leastUs, notes * CHECKPOINT_US_PER_NOTE);
}
