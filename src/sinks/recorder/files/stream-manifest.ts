import type { StreamInfo } from '../../../core/events.js';
import type { SpanTrack } from '../spans.js';
import type { countsOf, RecordingEnd } from '../stream-records.js';
import { incompleteness, type Manifest, manifestHead, toManifestSpans } from './manifest.js';
import type { Writer } from './writer.js';

/** What the recorder knows of one stream. */
export interface StreamState {
  readonly info: StreamInfo;
  readonly tracks: readonly SpanTrack[];
  readonly lengthSamples: number;
  /** Whether it is over, also when its end is not known. */
  readonly isFinal: boolean;
  readonly end: RecordingEnd | undefined;
  readonly counts: ReturnType<typeof countsOf>;
  readonly isIncomplete: boolean;
  readonly writer: Writer;
}

/** The manifest of one stream alone, as of now or with its end. */
export function streamManifest(state: StreamState): Manifest {
  const { info, tracks, lengthSamples: length, isFinal, end, counts, isIncomplete, writer } = state;
  const spans = tracks.flatMap((track) =>
    toManifestSpans(track.compose(isFinal ? length : Math.max(length, track.end)), track.channel, info.sampleRate),
  );
  return {
    ...manifestHead(info),
    endedAt: end === undefined ? null : new Date(end.endedAtMs).toISOString(),
    endReason: end === undefined ? null : end.endReason,
    ...counts,
    spans,
    ...(end?.quality && { quality: [...end.quality] }),
    ...incompleteness(spans, isIncomplete),
    ...(end === undefined ? { writer } : {}),
  };
}
