/** Counters of one session. Samples are of one channel. */
export interface SessionCounts {
  messagesReceived: number;
  messagesSent: number;
  framesReceived: number;
  emptyFrames: number;
  bytesReceived: number;
  /** Samples taken into the stream. */
  samplesKept: number;
  /** Samples that arrived during a pause and were dropped; the recording keeps their time as a paused span. */
  samplesPaused: number;
  /** Samples that the client did not send because of a pause: until `resumed`, or until the session ended. */
  pausedUnsentSamples: number;
  /** Samples that the client discarded (`discarded`). */
  discardedSamples: number;
  /** Frames that were dropped: after the end, without a medium, in a probe, or of a stream that another session owns. */
  framesIgnored: number;
  /** Bytes of those frames. */
  bytesIgnored: number;
  /** Samples that were dropped because another session continues the stream. */
  samplesNotTaken: number;
  pings: number;
  pauses: number;
  resumes: number;
  discards: number;
  updates: number;
  eventsSent: number;
  entitiesSent: number;
  entitiesRefused: number;
  /** From here on: deviations that the protocol tells a server to tolerate. */
  duplicatePaused: number;
  strayMessages: number;
  unknownTypes: number;
  unknownFields: number;
  connectorMessages: number;
  clientErrors: number;
  /** `start` of a `discarded` or `resumed` was later than the position of the samples that had arrived. */
  startAhead: number;
  startBehind: number;
  /** `start` was missing or was no duration. */
  startInvalid: number;
  /** Frames that ended between the channels of a sample pair; the pair was joined again. */
  splitPairs: number;
  /** Violations. The first one is answered with `disconnect`. */
  faults: number;
}

export function newSessionCounts(): SessionCounts {
  return {
    messagesReceived: 0,
    messagesSent: 0,
    framesReceived: 0,
    emptyFrames: 0,
    bytesReceived: 0,
    samplesKept: 0,
    samplesPaused: 0,
    pausedUnsentSamples: 0,
    discardedSamples: 0,
    framesIgnored: 0,
    bytesIgnored: 0,
    samplesNotTaken: 0,
    pings: 0,
    pauses: 0,
    resumes: 0,
    discards: 0,
    updates: 0,
    eventsSent: 0,
    entitiesSent: 0,
    entitiesRefused: 0,
    duplicatePaused: 0,
    strayMessages: 0,
    unknownTypes: 0,
    unknownFields: 0,
    connectorMessages: 0,
    clientErrors: 0,
    startAhead: 0,
    startBehind: 0,
    startInvalid: 0,
    splitPairs: 0,
    faults: 0,
  };
}
