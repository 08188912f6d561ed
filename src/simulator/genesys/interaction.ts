import type { StreamFormat } from '../../core/codec.js';
import { US_PER_SECOND } from '../../core/units.js';
import type { PacketLoop } from '../sound/loops.js';
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
  /** Sends a message that is not in the ledger. */
  sendText(text: string): void;
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

/** Between the numbers of a call and those of a second numbering in it. */
const OTHER_SEQUENCES = 30_000;
const OTHER_TIMESTAMPS = 777_000_000;

interface Channel {
  readonly track: Track;
  readonly ledger: ChannelLedger;
  readonly send: Send;
  /** What each of its packets begins with. */
  prefix: string;
  /** From the start of the interaction to the start of its track, and all the time that it stood still. */
  offsetUs: number;
}

/** Speech in another format, for a codec that changes in mid-call. */
export interface CodedSpeech {
  readonly format: StreamFormat;
  readonly loop: PacketLoop;
  /** What is sent in secure pauses. */
  readonly marking: PacketLoop | undefined;
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
  /** The same speech in another codec. */
  readonly codedIn?: ((codec: StreamFormat['codec'], channel: number) => CodedSpeech) | undefined;
  /** The track of a second channel that joins after `secondsElapsed`. */
  readonly secondTrack?: ((secondsElapsed: number) => Track) | undefined;
}

/**
 * One call. Its media begins with the first subscription and goes on by the clock from then on, whether or not a
 * connection is there to take it: what is due while there is none is withheld, and the numbers go on.
 */
export class Interaction {
  readonly id: string;
  format: StreamFormat;
  /** Absolute time at which run() has something to do; Infinity when not live. */
  nextUs = Infinity;
  state: 'waiting' | 'live' | 'ended' = 'waiting';
  endReason: InteractionEnd | null = null;
  endedAtMs: number | null = null;
  /** Where its call stands, when calls come and go by themselves; else it is there as long as there is media. */
  call: CallState | undefined;
  /** Every packet goes out twice until then. */
  doubledUntilUs = Number.NEGATIVE_INFINITY;
  /** Until then every packet is followed by another one with numbers of a second, independent numbering. */
  interleavedUntilUs = Number.NEGATIVE_INFINITY;
  #nowUs = 0;
  readonly #log: SentPacket[] | undefined;
  readonly #channels: Channel[];
  readonly #options: InteractionOptions;
  readonly #phaseUs: number;
  #startUs = 0;
  #carrier: Carrier | undefined;
  /** Whether everything due counts, as when the call ran its full length, or only what lies before the last sent. */
  #ranToItsEnd = false;

  constructor(options: InteractionOptions) {
    this.id = options.id;
    this.format = options.format;
    this.#phaseUs = options.phaseUs;
    this.#log = options.keepPackets ? [] : undefined;
    this.#options = options;
    this.#channels = [];
    for (const track of options.tracks) this.#addChannel(track, 0);
    this.#namePackets(options.codecInPackets);
  }

  /** In the order of sending, when packets are kept. */
  get sentPackets(): readonly SentPacket[] | undefined {
    return this.#log;
  }

  get carrier(): Carrier | undefined {
    return this.#carrier;
  }

  /** Media goes to `carrier` from now on, and to nobody else. */
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
    for (const { track, send, offsetUs } of this.#channels) {
      track.run(elapsedUs - offsetUs, send);
      next = Math.min(next, track.nextUs + offsetUs);
    }
    this.nextUs = this.#startUs + next;
    if (next === Infinity) {
      this.#ranToItsEnd = true;
      this.#end('ended', nowMs);
    }
  }

  /** The sender restarts its sequence numbers on every channel, and its timestamps when `firstTimestamp` is given. */
  renumber(sequenceJump: number, firstTimestamp: number | undefined): void {
    for (const { track, ledger, send } of this.#channels) {
      if (track.renumber === undefined) continue;
      track.renumber(sequenceJump, firstTimestamp, send);
      ledger.beginEpoch(track.due);
    }
  }

  /**
   * One channel, or every one, stands still for that long: nothing is sent, and afterwards sequence numbers and
   * timestamps go on where they stopped.
   */
  standStill(us: number, channel: number | undefined, nowUs: number, nowMs: number): void {
    this.run(nowUs, nowMs);
    if (this.state !== 'live') return;
    this.#channels.forEach((one, index) => {
      if (channel === undefined || channel === index) one.offsetUs += us;
    });
    this.run(nowUs, nowMs);
  }

  /** The same speech goes on in another codec, which every packet names from now on. */
  changeCodec(codec: StreamFormat['codec'], nowUs: number, nowMs: number): void {
    this.run(nowUs, nowMs);
    const { codedIn } = this.#options;
    if (codedIn === undefined || this.state !== 'live') return;
    for (const { track, send, ledger } of this.#channels) {
      const speech = codedIn(codec, ledger.channel);
      track.recode?.(speech, speech.format.clockRate, send);
      this.format = { ...speech.format, channels: this.format.channels };
    }
    this.#namePackets(true);
  }

  /** A second channel joins a call that was announced with one. Packets name their channel from now on. */
  joinChannel(nowUs: number, nowMs: number): void {
    this.run(nowUs, nowMs);
    if (this.state !== 'live' || this.#channels.length !== 1) return;
    const elapsedUs = nowUs - this.#startUs;
    const track = this.#options.secondTrack?.(elapsedUs / US_PER_SECOND);
    if (track === undefined) return;
    this.#addChannel(track, elapsedUs);
    this.format = { ...this.format, channels: 2 };
    this.#namePackets(this.#options.codecInPackets);
    this.run(nowUs, nowMs);
  }

  /** Whether a secure pause is on from now. */
  mark(isMarked: boolean): void {
    for (const { track } of this.#channels) track.mark?.(isMarked);
  }

  /**
   * Ends the call before its time. What is due is sent first, delayed packets as well; numbers after the last one
   * sent are not due any more, because nobody could miss them.
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

  #addChannel(track: Track, offsetUs: number): void {
    const ledger = new ChannelLedger(this.#channels.length, this.#log);
    const send: Send = (index, sequence, timestamp, payload) => {
      const carrier = this.#carrier;
      if (carrier?.isOpen !== true) return;
      const text = packetMessage(channel.prefix, sequence, timestamp, payload);
      carrier.sendPacket(text, ledger, index, sequence, timestamp, payload);
      if (this.#nowUs < this.doubledUntilUs) {
        carrier.sendPacket(text, ledger, index, sequence, timestamp, payload);
      }
      if (this.#nowUs < this.interleavedUntilUs) {
        const other = (sequence + OTHER_SEQUENCES) & 0xffff;
        carrier.sendText(packetMessage(channel.prefix, other, (timestamp + OTHER_TIMESTAMPS) >>> 0, payload));
      }
    };
    const channel: Channel = { track, ledger, send, prefix: '', offsetUs };
    this.#channels.push(channel);
  }

  /** Writes what each packet begins with: its channel when there are several, its codec when that is asked for. */
  #namePackets(namesCodec: boolean): void {
    const isSplit = this.#channels.length > 1;
    const codec = namesCodec ? this.format.codec : undefined;
    this.#channels.forEach((one, channel) => {
      one.prefix = packetPrefix(this.id, isSplit ? channel : undefined, codec);
    });
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
