import type { ProtocolFault } from './protocol-faults.js';
import type { HookChannel, HookFormat } from './sound.js';

export interface HookMedia {
  readonly format: HookFormat;
  readonly channels: readonly HookChannel[];
}

/** A stretch of the call by the call's own time, in seconds from its start. */
export interface HookScriptStretch {
  readonly atSeconds: number;
  readonly lastsSeconds: number;
}

/** What a call does, and how fast. */
export interface HookScript {
  readonly seconds: number;
  readonly frameMs: number;
  readonly media: readonly HookMedia[];
  /** Times faster than real time. */
  readonly speed: number;
  /** Audio of the call's first seconds that is sent at once, as history is. */
  readonly burstSeconds: number;
  readonly pauses: readonly HookScriptStretch[];
  readonly discards: readonly HookScriptStretch[];
  /** The connection breaks here, without a word. */
  readonly lossAtSeconds: number | undefined;
  /** After a loss, or when asked to reconnect, the call goes on in a new session. */
  readonly rejoin: boolean;
  readonly pingSeconds: number;
  /** Null UUIDs, no audio: the connection test of the integration's settings. */
  readonly probe: boolean;
  readonly fault: ProtocolFault | undefined;
}
