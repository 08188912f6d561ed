import type { SessionCounts } from '../session/session-counts.js';
import type { AudioHookWarning } from './server-events.js';

/** Counters of what is refused, dropped or tolerated, with the sentence for their first occurrence. */
const SENTENCES: Partial<Record<keyof SessionCounts, string>> = {
  framesIgnored:
    'audio frames were dropped: they came after the end, without a medium, or for a stream of another session',
  entitiesRefused: 'event entities were dropped: the session is not open, or too many wait for the rate limit',
  clientErrors: 'a client reported an error',
  strayMessages: 'a client sent a message that has no meaning in the state of its session',
  unknownTypes: 'a client sent a message of an unknown type',
  startInvalid:
    'a client sent a pause or discard without a valid start; its length is taken from where the audio stood',
  startAhead: 'a client reported a position ahead of the audio that it had sent',
};
const NAMES = Object.keys(SENTENCES) as (keyof SessionCounts)[];

/** Warns once of each kind of refusal; after that, the counters tell how many there were. */
export class FirstOccurrences {
  readonly #warned = new Set<string>();
  readonly #warn: (warning: AudioHookWarning) => void;

  constructor(warn: (warning: AudioHookWarning) => void) {
    this.#warn = warn;
  }

  report(reason: string, message: string, fields: Omit<AudioHookWarning, 'reason' | 'message'> = {}): void {
    if (this.#warned.has(reason)) return;
    this.#warned.add(reason);
    this.#warn({ reason, message: `${message}; further ones are only counted`, ...fields });
  }

  /** Looks through the counters of one session. */
  check(counts: Readonly<SessionCounts>, sessionId: string): void {
    for (const name of NAMES) {
      if (counts[name] > 0) this.report(name, SENTENCES[name] ?? name, { sessionId });
    }
  }
}
