/** What one session did, for its summary. Samples are of one channel. */
export interface SessionCounts {
  messagesReceived: number;
  messagesSent: number;
  framesReceived: number;
  emptyFrames: number;
  bytesReceived: number;
  /** Samples taken into the stream. */
  samplesKept: number;
  /** Samples that came while a pause was on, and were thrown away; they keep their length as a paused stretch. */
  samplesPaused: number;
  /** Stretches that the client did not send because of a pause (`resumed`). */
  resumedSamples: number;
  /** Stretches that the client threw away (`discarded`). */
  discardedSamples: number;
  /** Frames that came after the end, without a medium, or in a connection probe. */
  framesIgnored: number;
  pings: number;
  pauses: number;
  resumes: number;
  discards: number;
  updates: number;
  eventsSent: number;
  entitiesSent: number;
  entitiesRefused: number;
  /** Things that the protocol says to tolerate. */
  duplicatePaused: number;
  strayMessages: number;
  unknownTypes: number;
  unknownFields: number;
  connectorMessages: number;
  clientErrors: number;
  /** `start` of a `discarded` or `resumed` later than the samples that had come. */
  startAhead: number;
  startBehind: number;
  /** Frames that ended between the channels of a sample pair; the pair was put together again. */
  splitPairs: number;
  /** Violations that were answered with `disconnect`, or would have been had it not been sent already. */
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
    resumedSamples: 0,
    discardedSamples: 0,
    framesIgnored: 0,
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
    splitPairs: 0,
    faults: 0,
  };
}
