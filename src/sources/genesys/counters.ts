/** What a source has seen and refused, since it was made. */
export interface SourceCounters {
  /** Text messages, of any kind. */
  messages: number;
  /** Not JSON, or a packet with a field of the wrong type, without payload, or with one beyond LIMITS.maxPayloadBytes. */
  malformed: number;
  /** Packets of an interaction that is not, or no longer, subscribed to on their connection. */
  unknownInteraction: number;
  /** Packets whose payload is not base64. */
  badBase64: number;
  /** Packets of another codec or channel than their stream was opened with. */
  wrongFormat: number;
  /** Packets thrown away because the engine's arena was full. */
  arenaFull: number;
  /** Messages beyond LIMITS.maxMessageBytes; each costs its connection. */
  oversize: number;
  /** Error messages of the server. */
  controlErrors: number;
  /** Well-formed messages of a kind that this client does not know, and binary ones. */
  unknownMessages: number;
  /** Connections made again after they were lost. */
  reconnects: number;
}

export function zeroCounters(): SourceCounters {
  return {
    messages: 0,
    malformed: 0,
    unknownInteraction: 0,
    badBase64: 0,
    wrongFormat: 0,
    arenaFull: 0,
    oversize: 0,
    controlErrors: 0,
    unknownMessages: 0,
    reconnects: 0,
  };
}

/** Counters of what is refused, each with what a first refusal is reported as. */
export const REFUSALS = {
  malformed: 'a message that is no JSON, or a packet with a field of the wrong type or a payload that is too large',
  unknownInteraction: 'a packet of an interaction that is not subscribed to on its connection',
  badBase64: 'a packet whose payload is not base64',
  wrongFormat: 'a packet in the format that its stream had before a change',
  arenaFull: 'a packet for which the engine has no memory left; the decoding threads are too slow',
  oversize: 'a message beyond the limit, which costs its connection',
  unknownMessages: 'a message of a kind that is not known',
} as const satisfies Partial<Record<keyof SourceCounters, string>>;

export type RefusalKind = keyof typeof REFUSALS;

/** The first refusal of its kind; from then on it is only counted. */
export interface Refusal {
  readonly kind: RefusalKind;
  /** What was refused, in words. */
  readonly what: string;
  /** Empty when it is not known. */
  readonly interactionId: string;
}

/** Counts refusals, and reports the first one of each kind. */
export class Refusals {
  readonly #counters: SourceCounters;
  readonly #onFirst: (refusal: Refusal) => void;

  constructor(counters: SourceCounters, onFirst: (refusal: Refusal) => void = () => {}) {
    this.#counters = counters;
    this.#onFirst = onFirst;
  }

  add(kind: RefusalKind, interactionId = ''): void {
    this.#counters[kind]++;
    if (this.#counters[kind] === 1) this.#onFirst({ kind, what: REFUSALS[kind], interactionId });
  }
}
