import { withoutIdentities } from '../../../core/attributes/attributes.js';
import type { StreamInfo } from '../../../core/events.js';
import type { ConversionFiles } from '../conversion/flac-conversion.js';
import { audioFileName, channelFile, lateFile, type Manifest, segmentFile } from '../files/manifest.js';
import type { PacketFiles } from '../opus/packet-files.js';
import { parseRecipient, type Recipient } from './age-keys.js';
import { ENCRYPTED_EXTENSION, FORMAT_VERSION } from './chunk-format.js';
import { type ChunkSealer, chunkSealer } from './chunk-sealer.js';
import { EncryptedFile } from './encrypted-file.js';
import type { Description } from './encrypted-reader.js';
import { KEY_PLACE_BYTES, KeyPlace } from './key-place.js';

export interface EncryptionOptions {
  /** Those who can open the recordings: `age1…`. */
  readonly recipients: readonly string[];
  /** encryptionKeys() at first; the same again when a new recorder takes over from a dead one. */
  readonly keys: SharedArrayBuffer;
  /** Whether the native module may be used; default false. */
  readonly native?: boolean;
}

/** Keys of one recording: of its samples or of the packets of channel 0, of those of channel 1, of late packets. */
const PLACES = 3;
const LATE_PLACE = 2;

/** Memory for the keys of so many recordings at a time. */
export function encryptionKeys(recordings: number): SharedArrayBuffer {
  return new SharedArrayBuffer(recordings * PLACES * KEY_PLACE_BYTES);
}

/** How the audio files of one recorder are encrypted: each with a key of its own, for the same recipients. */
export class Encryption {
  readonly #recipients: readonly Recipient[];
  readonly #keys: SharedArrayBuffer;
  readonly #sealer: ChunkSealer;

  /** @throws TrunklineError CONFIG_INVALID for a recipient that is none. */
  constructor({ recipients, keys, native = false }: EncryptionOptions) {
    this.#recipients = recipients.map(parseRecipient);
    this.#keys = keys;
    this.#sealer = chunkSealer(native);
  }

  /** The encryption of the recording in slot `index`. */
  of(index: number, info: StreamInfo, segment: () => number): RecordingEncryption {
    const places = Array.from({ length: PLACES }, (_, place) => new KeyPlace(this.#keys, index * PLACES + place));
    return new RecordingEncryption(this.#recipients, this.#sealer, places, info, segment);
  }
}

/** The encrypted files of one recording. */
export class RecordingEncryption implements ConversionFiles, PacketFiles {
  readonly extension = ENCRYPTED_EXTENSION;
  /** The key of an earlier audio file of the recording has been forgotten. */
  readonly isLastOnly = true;
  readonly #recipients: readonly Recipient[];
  readonly #sealer: ChunkSealer;
  readonly #places: readonly KeyPlace[];
  readonly #info: StreamInfo;
  readonly #segment: () => number;

  constructor(
    recipients: readonly Recipient[],
    sealer: ChunkSealer,
    places: readonly KeyPlace[],
    info: StreamInfo,
    segment: () => number,
  ) {
    this.#recipients = recipients;
    this.#sealer = sealer;
    this.#places = places;
    this.#info = info;
    this.#segment = segment;
  }

  /** The file that is recorded to; any number of such objects are of the same file. */
  byteFile(): EncryptedFile {
    return this.#file(this.#place(0), false, () => audioFileName(this.#segment()));
  }

  packets(channel: number): EncryptedFile {
    return this.#file(this.#place(channel), false, () => this.#packetFile(channel));
  }

  late(): EncryptedFile {
    return this.#file(this.#place(LATE_PLACE), false, () => lateFile(this.#segment()));
  }

  rewritten(channel: number): EncryptedFile {
    return this.target(this.#packetFile(channel));
  }

  /** The key of the old file is of no use for the new one: what a new thread finds there has no key. */
  replace(channel: number): void {
    this.#place(channel).forget();
  }

  isReplaced(channel: number): boolean {
    return this.#place(channel).state === undefined;
  }

  source(): EncryptedFile {
    return this.byteFile();
  }

  /** With a key that no other thread ever needs. */
  target(file: string): EncryptedFile {
    return this.#file(new KeyPlace(new ArrayBuffer(KEY_PLACE_BYTES), 0), true, () => file);
  }

  /** From now on only the recipients can read the files. */
  forgetKeys(): void {
    for (const place of this.#places) place.forget();
  }

  /** The manifest of this audio file, which says that it is encrypted. */
  manifest(plain: Manifest, sealed: boolean): Manifest {
    const file = `${audioFileName(this.#segment())}${ENCRYPTED_EXTENSION}`;
    const encryption = { version: FORMAT_VERSION, sealed };
    const { attributes } = plain;
    // The manifest is not encrypted.
    return { ...plain, ...(attributes && { attributes: withoutIdentities(attributes) }), file, encryption };
  }

  #place(index: number): KeyPlace {
    return this.#places[index] as KeyPlace;
  }

  #packetFile(channel: number): string {
    return channelFile(segmentFile(this.#segment(), 'opus'), channel === 0 ? 0 : 1, this.#info.channels);
  }

  #file(place: KeyPlace, isPrivate: boolean, name: () => string): EncryptedFile {
    const describe = () => JSON.stringify(this.#describe(name()));
    return new EncryptedFile({ recipients: this.#recipients, sealer: this.#sealer, place, isPrivate, describe });
  }

  /** What the head of a file says; no person can be told from it. */
  #describe(file: string): Description {
    const { interactionId, codec, clockRate, sampleRate, channels, startedAtMs } = this.#info;
    const startedAt = new Date(startedAtMs).toISOString();
    return { file, interactionId, segment: this.#segment(), startedAt, codec, clockRate, sampleRate, channels };
  }
}
