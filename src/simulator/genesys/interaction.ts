import type { StreamFormat } from '../../core/codec.js';
import type { Send, Track } from '../sound/track.js';
import { ChannelLedger, type InteractionLedger, type SentPacket } from './ledger.js';
import { packetMessage, packetPrefix } from './wire.js';

/** Where an interaction's packets go: a media connection, as the interaction sees it. */
export interface Carrier {
  /** False once the connection is closing; what is due then is not sent. */
  readonly isOpen: boolean;
  sendPacket(
    text: string,
    ledger: ChannelLedger,
    index: number,
    sequence: number,
    timestamp: number,
    payload: string,
  ): void;
  /** Another connection has the interaction's media now. */
  interactionTaken(interaction: Interaction): void;
  /** The interaction is over, and its last packet has been sent. */
  interactionEnded(interaction: Interaction): void;
}

/** A call that begins and ends by a plan. */
export interface CallState {
  readonly queueId: string | undefined;
  readonly userId: string | undefined;
  phase: 'planned' | 'alerting' | 'connected' | 'over';
  securePause: boolean;
}

export type InteractionEnd = 'ended' | 'unsubscribed' | 'stopped';

interface Channel {
  readonly track: Track;
  readonly ledger: ChannelLedger;
  readonly send: Send;
}

export interface InteractionOptions {
  readonly id: string;
  readonly format: StreamFormat;
  /** One for each channel. */
  readonly tracks: readonly Track[];
  /** From the first subscription to the first packet, so that interactions do not all send at the same instant. */
  readonly phaseUs: number;
  readonly keepPackets: boolean;
  /** Names the codec in every packet. */
  readonly codecInPackets: boolean;
}

/**
 * One call. Its media begins with the first subscription and goes on by the clock from then on, whether or not a
 * connection is there to take it: what is due while there is none is withheld, and the numbers go on.
 */
export class Interaction {
  readonly id: string;
  readonly format: StreamFormat;
  /** Absolute time at which run() has something to do; Infinity when not live. */
  nextUs = Infinity;
  state: 'waiting' | 'live' | 'ended' = 'waiting';
  endReason: InteractionEnd | null = null;
  endedAtMs: number | null = null;
  /** In the order of sending, when packets are kept. */
  readonly sentPackets: readonly SentPacket[] | undefined;
  /** Where its call stands, when calls come and go by themselves; else it is there as long as there is media. */
  call: CallState | undefined;
  /** Every packet goes out twice until then. */
  doubledUntilUs = Number.NEGATIVE_INFINITY;
  #nowUs = 0;
  readonly #channels: readonly Channel[];
  readonly #phaseUs: number;
  #startUs = 0;
  #carrier: Carrier | undefined;
  /** Whether everything due counts, as when the call ran its full length, or only what lies before the last sent. */
  #ranToItsEnd = false;

  constructor(options: InteractionOptions) {
    this.id = options.id;
    this.format = options.format;
    this.#phaseUs = options.phaseUs;
    const log: SentPacket[] | undefined = options.keepPackets ? [] : undefined;
    this.sentPackets = log;
    const isSplit = options.tracks.length > 1;
    this.#channels = options.tracks.map((track, channel) => {
      const ledger = new ChannelLedger(channel, log);
      const codec = options.codecInPackets ? options.format.codec : undefined;
      const prefix = packetPrefix(options.id, isSplit ? channel : undefined, codec);
      const send: Send = (index, sequence, timestamp, payload) => {
        if (this.#carrier?.isOpen !== true) return;
        const text = packetMessage(prefix, sequence, timestamp, payload);
        this.#carrier.sendPacket(text, ledger, index, sequence, timestamp, payload);
        if (this.#nowUs >= this.doubledUntilUs) return;
        this.#carrier.sendPacket(text, ledger, index, sequence, timestamp, payload);
      };
      return { track, ledger, send };
    });
  }

  get carrier(): Carrier | undefined {
    return this.#carrier;
  }

  /** Media goes to `carrier` from now on, and no longer to an earlier one. */
  subscribe(carrier: Carrier, nowUs: number): void {
    if (this.#carrier !== carrier) this.#carrier?.interactionTaken(this);
    this.#carrier = carrier;
    if (this.state !== 'waiting') return;
    this.state = 'live';
    this.#startUs = nowUs + this.#phaseUs;
    this.nextUs = this.#startUs;
  }

  /** The connection broke. Nothing happens if another one has taken over. */
  detach(carrier: Carrier): void {
    if (this.#carrier === carrier) this.#carrier = undefined;
  }

  /** Sends what is due by now. */
  run(nowUs: number, nowMs: number): void {
    this.#nowUs = nowUs;
    const elapsedUs = nowUs - this.#startUs;
    let next = Infinity;
    for (const { track, send } of this.#channels) {
      track.run(elapsedUs, send);
      next = Math.min(next, track.nextUs);
    }
    this.nextUs = this.#startUs + next;
    if (next === Infinity) {
      this.#ranToItsEnd = true;
      this.#end('ended', nowMs);
    }
  }

  /** The sender restarts its sequence numbers and timestamps on every channel. */
  renumber(sequenceJump: number, firstTimestamp: number): void {
    for (const { track, ledger, send } of this.#channels) {
      if (track.renumber === undefined) continue;
      track.renumber(sequenceJump, firstTimestamp, send);
      ledger.beginEpoch(track.due);
    }
  }

  /** Whether a secure pause is on from now. */
  mark(isMarked: boolean): void {
    for (const { track } of this.#channels) track.mark?.(isMarked);
  }

  /**
   * Ends the call before its time. What is due is sent first, delayed packets as well; numbers after the last one
   * sent are not due any more: no receiver can know of them.
   */
  finish(reason: InteractionEnd, nowUs: number, nowMs: number): void {
    if (this.state === 'live') this.run(nowUs, nowMs);
    if (this.state === 'ended') return;
    for (const { track, send } of this.#channels) track.flush(send);
    this.#end(reason, nowMs);
  }

  ledger(): InteractionLedger {
    let packets = 0;
    let knowable = 0;
    let sent = 0;
    let duplicated = 0;
    let reordered = 0;
    let payloadBytes = 0;
    for (const { track, ledger } of this.#channels) {
      packets += this.state === 'ended' && !this.#ranToItsEnd ? ledger.highest + 1 : track.due;
      knowable += ledger.due();
      sent += ledger.sent;
      duplicated += ledger.duplicated;
      reordered += ledger.reordered;
      payloadBytes += ledger.payloadBytes;
    }
    const { codec, clockRate, sampleRate, channels } = this.format;
    const { state, endReason } = this;
    const counts = { packets, knowable, sent, withheld: packets - sent, duplicated, reordered, payloadBytes };
    return { codec, clockRate, sampleRate, channels, state, endReason, ...counts };
  }

  #end(reason: InteractionEnd, nowMs: number): void {
    const carrier = this.#carrier;
    this.state = 'ended';
    this.endReason = reason;
    this.endedAtMs = nowMs;
    this.nextUs = Infinity;
    this.#carrier = undefined;
    carrier?.interactionEnded(this);
  }
}
