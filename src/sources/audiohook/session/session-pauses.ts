/** The two pauses of a session, the client's and ours: independent, and audio flows only when both are over. */
export class SessionPauses {
  /** Ours. */
  own = false;
  #client = false;
  /** Times that we asked the client to pause or resume and it has not said what it did. */
  #unanswered = 0;

  get on(): boolean {
    return this.own || this.#client;
  }

  /** We asked the client to pause or to resume. */
  asked(): void {
    this.#unanswered += 1;
  }

  answered(): void {
    if (this.#unanswered > 0) this.#unanswered -= 1;
  }

  /** The client said `paused`: its pause begins, or it goes on and this is the answer to a request, or said twice. */
  paused(): 'begun' | 'answer' | 'duplicate' {
    const asked = this.#unanswered > 0;
    this.answered();
    if (this.#client) return asked ? 'answer' : 'duplicate';
    this.#client = true;
    return 'begun';
  }

  /** The client's pause is over; false when there was none. */
  resumed(): boolean {
    const was = this.#client;
    this.#client = false;
    return was;
  }
}
