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
