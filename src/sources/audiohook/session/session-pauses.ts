/** Who asked for a pause: the client (a secure flow), or the embedder of this server. */
export type PausedBy = 'client' | 'server';

/** The client's pause and ours. They are independent, and audio flows only when neither is active. */
export class SessionPauses {
  #own = false;
  #client = false;
  /** Our pause and resume requests that the client has not answered yet. */
  #unanswered = 0;
  #sinceUs = 0;
  #clientSends = false;

  get active(): boolean {
    return this.#own || this.#client;
  }

  get own(): boolean {
    return this.#own;
  }

  /** Since when the client has sent no audio because of a pause; undefined when it sends, or nothing is paused. */
  get silentSinceUs(): number | undefined {
    return this.active && !this.#clientSends ? this.#sinceUs : undefined;
  }

  /** Begins or ends our own pause; false when that changes nothing. */
  setOwn(on: boolean, nowUs: number): boolean {
    if (this.#own === on) return false;
    if (on && !this.active) this.#begin(nowUs);
    this.#own = on;
    return true;
  }

  /** We asked the client to pause or to resume. */
  requested(): void {
    this.#unanswered += 1;
  }

  answered(): void {
    if (this.#unanswered > 0) this.#unanswered -= 1;
  }

  /** The client sent `paused`: its pause begins, or this answers our request, or it is a repetition. */
  paused(nowUs: number): 'begun' | 'answer' | 'duplicate' {
    const requested = this.#unanswered > 0;
    this.answered();
    if (this.#client) return requested ? 'answer' : 'duplicate';
    if (!this.active || this.#clientSends) this.#begin(nowUs);
    this.#client = true;
    return 'begun';
  }

  /** Ends the client's pause, so that it sends again; false when there was none. */
  resumed(): boolean {
    const was = this.#client;
    this.#client = false;
    this.#clientSends = true;
    return was;
  }

  /** Audio arrived during a pause: the client has not stopped sending. */
  audioArrived(nowUs: number): void {
    if (this.#client) this.#sinceUs = nowUs;
    else this.#clientSends = true;
  }

  #begin(nowUs: number): void {
    this.#sinceUs = nowUs;
    this.#clientSends = false;
  }
}
