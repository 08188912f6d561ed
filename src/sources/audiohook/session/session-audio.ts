import { formatDuration } from '../protocol/duration.js';
import { type SelectedMedia, selectMedia } from '../protocol/media.js';
import type { ServerParameters } from '../protocol/wire.js';
import type { OpenRequest, SessionOutput } from './session-contract.js';
import type { SessionCounts } from './session-counts.js';
import { SessionPauses } from './session-pauses.js';
import { TimeLine, type TimeLineVerdict } from './time-line.js';

/** A stretch that the client did not send, as its message describes it: ISO 8601 durations. */
export interface Stretch {
  readonly start: string;
  readonly discarded: string;
}

/** The audio side of a session: its medium, its pauses, and its time line. */
export class SessionAudio {
  readonly pauses = new SessionPauses();
  readonly #output: SessionOutput;
  readonly #counts: SessionCounts;
  readonly #timeLine: TimeLine;
  #media: SelectedMedia | undefined;
  #isProbe = false;

  constructor(output: SessionOutput, counts: SessionCounts) {
    this.#output = output;
    this.#counts = counts;
    this.#timeLine = new TimeLine(output, counts);
  }

  get positionSamples(): number {
    return this.#timeLine.positionSamples;
  }

  /** Chooses a medium from the client's offer; undefined when none is acceptable. */
  choose(offered: readonly unknown[]): SelectedMedia | undefined {
    this.#media = selectMedia(offered);
    return this.#media;
  }

  /** Begins the time line; returns the parameters of `opened`. */
  begin(
    request: OpenRequest | undefined,
    baseSamples: number,
    discardToSamples: number,
    nowUs: number,
  ): ServerParameters['opened'] {
    const media = this.#media;
    this.#isProbe = request?.probe === true;
    this.#timeLine.begin(media, baseSamples, request?.positionSamples ?? 0, nowUs);
    const opened: ServerParameters['opened'] = { media: media === undefined ? '[]' : `[${media.json}]` };
    if (this.pauses.own) {
      opened.startPaused = true;
      this.pauses.requested();
    }
    if (discardToSamples > 0 && media !== undefined) opened.discardTo = formatDuration(discardToSamples, media.rate);
    return opened;
  }

  frame(bytes: Uint8Array, nowUs: number): TimeLineVerdict {
    if (this.#media !== undefined && !this.#isProbe) return this.#timeLine.audio(bytes, !this.pauses.active, nowUs);
    this.#counts.framesIgnored += 1;
    return 'ok';
  }

  /** Handles `paused`; true when the client's pause begins with it. */
  paused(): boolean {
    const outcome = this.pauses.paused();
    if (outcome === 'duplicate') this.#counts.duplicatePaused += 1;
    if (outcome !== 'begun') return false;
    this.#counts.pauses += 1;
    this.#timeLine.discardPartialPair();
    this.#output.pauseChanged(true);
    return true;
  }

  resumed({ start, discarded }: Stretch, nowUs: number): TimeLineVerdict {
    this.pauses.answered();
    const verdict = this.#timeLine.stretch('paused', start, discarded, nowUs);
    if (verdict === 'ok' && this.pauses.resumed()) {
      this.#counts.resumes += 1;
      this.#output.pauseChanged(false);
    }
    return verdict;
  }

  discarded({ start, discarded }: Stretch, nowUs: number): TimeLineVerdict {
    this.#counts.discards += 1;
    return this.#timeLine.stretch('discarded', start, discarded, nowUs);
  }
}
