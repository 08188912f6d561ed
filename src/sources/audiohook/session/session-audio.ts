import type { Interleaved } from '../protocol/deinterleave.js';
import { formatDuration } from '../protocol/duration.js';
import { type SelectedMedia, selectMedia } from '../protocol/media.js';
import type { ServerParameters } from '../protocol/wire.js';
import type { AcceptOptions, OpenRequest, SessionOutput } from './session-contract.js';
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
  #ended = false;

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
    { baseSamples = 0, discardToSamples = 0, streamOpenedUs }: AcceptOptions,
    nowUs: number,
  ): ServerParameters['opened'] {
    const media = this.#media;
    this.#isProbe = request?.probe === true;
    this.#timeLine.begin(media, baseSamples, request?.positionSamples ?? 0, streamOpenedUs ?? nowUs);
    const opened: ServerParameters['opened'] = { media: media === undefined ? '[]' : `[${media.json}]` };
    if (this.pauses.own) {
      opened.startPaused = true;
      this.pauses.requested();
    }
    if (discardToSamples > 0 && media !== undefined) opened.discardTo = formatDuration(discardToSamples, media.rate);
    return opened;
  }

  frame(bytes: Uint8Array, nowUs: number): TimeLineVerdict {
    if (this.#media !== undefined && !this.#isProbe) {
      const keep = !this.pauses.active;
      if (!keep) this.pauses.audioArrived(nowUs);
      return this.#timeLine.audio(bytes, keep, nowUs);
    }
    this.#counts.framesIgnored += 1;
    this.#counts.bytesIgnored += bytes.length;
    return 'ok';
  }

  /** As frame(), for one that may be masked; undefined, and nothing done, when it must come by frame(). */
  wholeFrame(samples: Interleaved, length: number, nowUs: number): TimeLineVerdict | undefined {
    if (this.#media === undefined || this.#isProbe || this.pauses.active) return undefined;
    return this.#timeLine.wholeAudio(samples, length, nowUs);
  }

  /** Handles `paused`; true when the client's pause begins with it. */
  paused(nowUs: number): boolean {
    const outcome = this.pauses.paused(nowUs);
    if (outcome === 'duplicate') this.#counts.duplicatePaused += 1;
    if (outcome !== 'begun') return false;
    this.#counts.pauses += 1;
    this.#timeLine.discardPartialPair();
    this.#output.pauseChanged('client', true);
    return true;
  }

  resumed({ start, discarded }: Stretch, nowUs: number): TimeLineVerdict {
    this.pauses.answered();
    const verdict = this.#timeLine.stretch('paused', start, discarded, nowUs);
    if (verdict === 'ok' && this.pauses.resumed()) {
      this.#counts.resumes += 1;
      this.#output.pauseChanged('client', false);
    }
    return verdict;
  }

  discarded({ start, discarded }: Stretch, nowUs: number): TimeLineVerdict {
    this.#counts.discards += 1;
    return this.#timeLine.stretch('discarded', start, discarded, nowUs);
  }

  /** Begins or ends our own pause. */
  setOwnPause(on: boolean, nowUs: number): void {
    if (this.pauses.setOwn(on, nowUs)) this.#output.pauseChanged('server', on);
  }

  /**
   * The session ends. A pause that is still active becomes a paused stretch up to now, or up to the position in the
   * client's `close`, so that the recording shows it and keeps the time of the call.
   */
  end(position: string | undefined, nowUs: number): void {
    const { silentSinceUs } = this.pauses;
    if (this.#ended || this.#media === undefined || this.#isProbe) return;
    this.#ended = true;
    if (this.pauses.active) this.#timeLine.endPause(position, silentSinceUs ?? nowUs, nowUs);
  }
}
