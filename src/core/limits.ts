/** Every limit in one place. What is beyond a limit is refused or dropped, with a reason and a counter. */
export const LIMITS = {
  /** Interactions on one media connection (platform rule). */
  interactionsPerConnection: 50,
  /** One WebSocket message. A 60 ms L16 packet at 48 kHz is 7.7 kB of base64. */
  maxMessageBytes: 65_536,
  /** Payload of one packet: 120 ms of L16 at 48 kHz is 11,520 bytes. */
  maxPayloadBytes: 16_384,
  /** Longest stretch that one lost record may stand for, in seconds; a longer gap is a jump of the time line. */
  maxGapSeconds: 10,
  /** A packet that comes later than this after its time may be left out of the recording. */
  maxLateSeconds: 10,
  /** Interaction ids and similar names. */
  maxNameBytes: 128,
  /** Decoding threads of one engine; their rings must lie within the 2 GB that 32-bit offsets reach. */
  maxShards: 32,
  /** Longest hold of the jitter buffer. */
  maxPlayoutDelayMs: 2_000,
  /** Streams of one engine. */
  maxStreams: 16_384,
  /** Bytes that a monitor may have waiting before whole frames are dropped. */
  monitorBufferBytes: 1 << 20,
  /** Events, and bytes of them, that are kept for clients of the event stream that are slow or come back. */
  keptEvents: 16_384,
  keptEventBytes: 8 << 20,
  /** JSON of one event; what exceeds it is left out. */
  eventBytes: 16_384,
  eventClients: 100,
  /** Listeners to live audio over HTTP, all interactions together. */
  audioListeners: 64,
  /** Audio that waits for a slow listener before the oldest is dropped. */
  audioBufferMs: 2_000,
  /** Audio that an AudioHook client may send, or say that it threw away, ahead of real time. */
  audioHookAheadSeconds: 3_600,
  /** Event entities of one AudioHook session that wait for their turn to be sent. */
  audioHookQueuedEntities: 64,
  /** JSON of one AudioHook event entity; a message of several stays below 64 kB. */
  audioHookEntityBytes: 16_384,
  /** Nonces remembered against replay; beyond them signed requests are refused until some have expired. */
  audioHookNonces: 65_536,
  /** Bytes of audit entries that may wait to be written before entries are dropped. */
  auditBufferBytes: 4 << 20,
} as const;
