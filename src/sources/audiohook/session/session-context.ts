import type { EndReason } from '../../../core/events.js';
import type { CloseReason, DisconnectReason } from '../protocol/wire.js';
import { MessageSender } from './message-sender.js';
import { SessionAudio } from './session-audio.js';
import type { OpenRequest, SessionFault, SessionIdentity, SessionOutput, SessionTiming } from './session-contract.js';
import { newSessionCounts, type SessionCounts } from './session-counts.js';
import type { TimeLineVerdict } from './time-line.js';

/** See session-table.ts for the transitions between them. */
export type SessionState = 'CONNECTED' | 'OPENING' | 'ACTIVE' | 'PAUSED' | 'ENDING' | 'FAULTED' | 'CLOSING' | 'CLOSED';

/** The state of one session and the operations that its handlers share. */
export class SessionContext {
  readonly counts: SessionCounts = newSessionCounts();
  readonly identity: SessionIdentity;
  readonly output: SessionOutput;
  readonly timing: SessionTiming;
  readonly audio: SessionAudio;
  readonly sender: MessageSender;
  state: SessionState = 'CONNECTED';
  /** When the current state began; several states are limited in time. */
  sinceUs: number;
  request: OpenRequest | undefined;
  /** The client asked for the list of supported languages. */
  asksLanguages = false;
  language: string | undefined;
  lastPingUs = 0;
  /** Round trip as measured by the client, seconds; −1 before its first measurement. */
  rttSeconds = -1;
  closeReason: CloseReason | undefined;
  endReason: EndReason | undefined;

  constructor(identity: SessionIdentity, output: SessionOutput, nowUs: number, timing: SessionTiming) {
    this.identity = identity;
    this.output = output;
    this.timing = timing;
    this.sinceUs = nowUs;
    this.audio = new SessionAudio(output, this.counts);
    this.sender = new MessageSender(identity.sessionId, output, this.counts, this.audio.pauses, timing, nowUs);
  }

  /** `opened` has been sent and neither side has begun to close. */
  get isOpen(): boolean {
    return this.state === 'ACTIVE' || this.state === 'PAUSED';
  }

  enter(state: SessionState, nowUs: number): void {
    this.state = state;
    this.sinceUs = nowUs;
  }

  /** Sends queued unsolicited messages, or the pending `disconnect` instead of them. */
  flushUnsolicited(nowUs: number): void {
    const { sender } = this;
    if (!this.isOpen || !sender.mayInitiate) return;
    const { pendingDisconnect } = sender;
    if (pendingDisconnect === undefined) {
      sender.flush(nowUs);
      return;
    }
    this.endReason ??= pendingDisconnect.reason === 'error' ? 'error' : 'stopped';
    this.enter('ENDING', nowUs);
    sender.send('disconnect', pendingDisconnect);
    sender.dropPending();
  }

  /** Ends the session because of a violation or a timeout. Always false, so that a check can return it. */
  fault(kind: SessionFault, info: string, nowUs: number, reason: DisconnectReason = 'error'): false {
    this.counts.faults += 1;
    switch (this.state) {
      case 'FAULTED':
      case 'CLOSING':
      case 'CLOSED':
        return false;
      case 'ENDING':
        this.state = 'FAULTED';
        break;
      default:
        this.enter('FAULTED', nowUs);
        this.sender.send('disconnect', { reason, info });
    }
    this.endReason = kind === 'timeout' ? 'lost' : reason === 'completed' ? 'stopped' : 'error';
    this.audio.end(undefined, nowUs);
    this.output.flush();
    this.sender.dropPending();
    this.output.faulted(kind, info);
    return false;
  }

  /**
   * The client sends no pings: asks it to close. Its audio is as good as any, so that what is in flight, or was held up on
   * the way, is still taken.
   */
  pingTimedOut(nowUs: number): void {
    const info = "No 'ping' in time";
    this.counts.faults += 1;
    this.endReason = 'lost';
    this.enter('ENDING', nowUs);
    this.sender.send('disconnect', { reason: 'error', info });
    this.sender.dropPending();
    this.output.faulted('timeout', info);
  }

  /** True when the time line accepted what came; otherwise the session is faulted. */
  accepts(verdict: TimeLineVerdict, nowUs: number): boolean {
    if (verdict === 'ok') return true;
    if (verdict === 'ahead') return this.fault('limit', 'Time line too far ahead of the clock', nowUs);
    return this.fault('protocol', 'Audio frame is not a whole number of samples', nowUs);
  }
}
