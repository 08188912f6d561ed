/** The client's pause and ours. They are independent, and audio flows only when neither is active. */
export class SessionPauses {
  /** Our own pause. */
  own = false;
  #client = false;
  /** Our pause and resume requests that the client has not answered yet. */
  #unanswered = 0;

  get active(): boolean {
    return this.own || this.#client;
  }

  /** We asked the client to pause or to resume. */
  requested(): void {
    this.#unanswered += 1;
  }

  answered(): void {
    if (this.#unanswered > 0) this.#unanswered -= 1;
  }

  /** The client sent `paused`: its pause begins, or this answers our request, or it is a repetition. */
  paused(): 'begun' | 'answer' | 'duplicate' {
    const requested = this.#unanswered > 0;
    this.answered();
    if (this.#client) return requested ? 'answer' : 'duplicate';
    this.#client = true;
    return 'begun';
  }

  /** Ends the client's pause; false when there was none. */
  resumed(): boolean {
    const was = this.#client;
    this.#client = false;
    return was;
  }
}
