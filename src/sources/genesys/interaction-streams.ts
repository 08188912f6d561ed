import type { Buffer } from 'node:buffer';
import { codecId, type StreamFormat } from '../../core/codec.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { EndReason } from '../../core/events.js';
import type { StreamIngest } from '../../engine/input/ingest.js';
import type { InteractionTable } from './interaction-table.js';
import { announcedFormat, type FormatPreferences, guessFormat, sameFormat } from './protocol/formats.js';
import type { SubscribedInteraction } from './protocol/wire.js';

// Each change ends a stream and begins another, with a recording of its own: a server must not make them without end.
const MAX_FORMAT_CHANGES = 3;

/** What is to be known or done about an interaction beside its stream. */
export interface InteractionStreamsDependencies {
  /** Hands over the packets of a stream that have been read so far. */
  flush(): void;
  /** Its unsubscription is under way. */
  isLeaving(roster: InteractionTable, interactionId: string): boolean;
  giveUp(roster: InteractionTable, interactionId: string, why: TrunklineError): void;
}

/**
 * The engine's streams that the interactions on the rosters feed: opened when the server announces a format or, without
 * announcement, at the first packet; ended and begun anew when the format changes; withheld while they are paused.
 */
export class InteractionStreams {
  readonly #ingest: StreamIngest;
  readonly #formats: FormatPreferences;
  readonly #host: InteractionStreamsDependencies;
  readonly #openFormats = new Map<string, StreamFormat>();
  /** Of an interaction, when there has been one. */
  readonly #formatChanges = new Map<string, number>();
  /** Whose audio is withheld, whether or not a stream is open. */
  readonly #paused = new Set<string>();

  constructor(ingest: StreamIngest, formats: FormatPreferences, host: InteractionStreamsDependencies) {
    this.#ingest = ingest;
    this.#formats = formats;
    this.#host = host;
  }

  get pausedCount(): number {
    return this.#paused.size;
  }

  /** The server has said what it will send of an interaction. */
  announced(roster: InteractionTable, announced: SubscribedInteraction): void {
    const slot = roster.slotOf(announced.interactionId);
    const format = announcedFormat(announced, this.#formats);
    if (slot >= 0 && format !== undefined) this.#open(roster, slot, format);
  }

  /**
   * The first packet since the connection was made. A stream goes on over a reconnect, unless the server now sends
   * something else. A packet that names its channel is taken for one of two. False when there is no stream for it.
   */
  heard(roster: InteractionTable, slot: number, codec: number, channel: number, payload: Buffer): boolean {
    const isOpen = (roster.stream[slot] as number) >= 0;
    if (isOpen && (codec < 0 || codec === roster.codec[slot])) return true;
    const isOneOfTwo = isOpen ? roster.channels[slot] === 2 : channel >= 0;
    return this.#open(roster, slot, guessFormat(payload, codec, isOneOfTwo ? 2 : 1, this.#formats));
  }

  /** The connection was lost and is there again. */
  interrupted(roster: InteractionTable): void {
    this.#host.flush();
    for (const stream of roster.stream) if (stream >= 0) this.#ingest.streamInterrupted(stream);
  }

  end(roster: InteractionTable, slot: number, reason: EndReason): void {
    const stream = roster.stream[slot] as number;
    if (stream < 0) return;
    roster.stream[slot] = -1;
    roster.flowing[slot] = 0;
    this.#openFormats.delete(roster.id(slot));
    this.#host.flush();
    this.#ingest.endStream(stream, reason);
  }

  /** The interaction has ended. Of one that comes back at once, a pause goes on. */
  ended(interactionId: string, comesBack: boolean): void {
    this.#formatChanges.delete(interactionId);
    if (!comesBack) this.#paused.delete(interactionId);
  }

  pause(interactionId: string, roster: InteractionTable | undefined): void {
    this.#paused.add(interactionId);
    const stream = streamOf(roster, interactionId);
    if (stream >= 0) this.#ingest.pauseStream(stream);
  }

  /** Lets out what arrives after `fromUs`. False when nothing was paused. */
  resume(interactionId: string, roster: InteractionTable | undefined, fromUs: number): boolean {
    if (!this.#paused.delete(interactionId)) return false;
    const stream = streamOf(roster, interactionId);
    if (stream >= 0) this.#ingest.resumeStream(stream, fromUs);
    return true;
  }

  /** False when the engine refused or the format changed too often, and the interaction is, or was before, leaving. */
  #open(roster: InteractionTable, slot: number, format: StreamFormat): boolean {
    const interactionId = roster.id(slot);
    const before = this.#openFormats.get(interactionId);
    const isOpen = (roster.stream[slot] as number) >= 0;
    if (isOpen && before !== undefined && sameFormat(before, format)) return true;
    if (this.#host.isLeaving(roster, interactionId)) return false;
    if (isOpen && !this.#change(roster, slot, interactionId)) return false;
    try {
      roster.stream[slot] = this.#ingest.openStream(interactionId, format);
    } catch (error) {
      const failure = error instanceof TrunklineError ? error : new TrunklineError('ENGINE_FAILED', messageOf(error));
      this.#host.giveUp(roster, interactionId, failure);
      return false;
    }
    if (this.#paused.has(interactionId)) this.#ingest.pauseStream(roster.stream[slot] as number);
    this.#openFormats.set(interactionId, format);
    roster.codec[slot] = codecId(format.codec);
    roster.channels[slot] = format.channels;
    return true;
  }

  /** Ends the stream, for one of another format to begin. False when that has been done too often. */
  #change(roster: InteractionTable, slot: number, interactionId: string): boolean {
    const changes = (this.#formatChanges.get(interactionId) ?? 0) + 1;
    this.#formatChanges.set(interactionId, changes);
    if (changes <= MAX_FORMAT_CHANGES) {
      this.end(roster, slot, 'interrupted');
      return true;
    }
    const sentence = `The media server changed the format of ${interactionId} ${changes} times; it is given up.`;
    this.end(roster, slot, 'error');
    this.#host.giveUp(roster, interactionId, new TrunklineError('PROTOCOL_ERROR', sentence));
    return false;
  }
}

function streamOf(roster: InteractionTable | undefined, interactionId: string): number {
  const slot = roster?.slotOf(interactionId) ?? -1;
  return roster === undefined || slot < 0 ? -1 : (roster.stream[slot] as number);
}
