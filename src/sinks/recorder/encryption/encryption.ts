import { withoutIdentities } from '../../../core/attributes/attributes.js';
import type { StreamInfo } from '../../../core/events.js';
import type { ConversionFiles } from '../conversion/flac-conversion.js';
import { audioFileName, type Manifest } from '../files/manifest.js';
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

/** Memory for the keys of so many recordings at a time. */
export function encryptionKeys(recordings: number): SharedArrayBuffer {
  return new SharedArrayBuffer(recordings * KEY_PLACE_BYTES);
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
    return new RecordingEncryption(this.#recipients, this.#sealer, new KeyPlace(this.#keys, index), info, segment);
  }
}

/** The encrypted files of one recording. */
export class RecordingEncryption implements ConversionFiles {
  readonly extension = ENCRYPTED_EXTENSION;
  /** The key of an earlier audio file of the recording has been forgotten. */
  readonly isLastOnly = true;
  readonly #recipients: readonly Recipient[];
  readonly #sealer: ChunkSealer;
  readonly #place: KeyPlace;
  readonly #info: StreamInfo;
  readonly #segment: () => number;

  constructor(
    recipients: readonly Recipient[],
    sealer: ChunkSealer,
    place: KeyPlace,
    info: StreamInfo,
    segment: () => number,
  ) {
    this.#recipients = recipients;
    this.#sealer = sealer;
    this.#place = place;
    this.#info = info;
    this.#segment = segment;
  }

  /** The file that is recorded to; any number of such objects are of the same file. */
  byteFile(): EncryptedFile {
    return this.#file(this.#place, false, () => audioFileName(this.#segment()));
  }

  source(): EncryptedFile {
    return this.byteFile();
  }

  /** With a key that no other thread ever needs. */
  target(file: string): EncryptedFile {
    return this.#file(new KeyPlace(new ArrayBuffer(KEY_PLACE_BYTES), 0), true, () => file);
  }

  /** From now on only the recipients can read the file. */
  forgetKey(): void {
    this.#place.forget();
  }

  /** The manifest of this audio file, which says that it is encrypted. */
  manifest(plain: Manifest, sealed: boolean): Manifest {
    const file = `${audioFileName(this.#segment())}${ENCRYPTED_EXTENSION}`;
    const encryption = { version: FORMAT_VERSION, sealed };
    const { attributes } = plain;
    // The manifest is not encrypted.
    return { ...plain, ...(attributes && { attributes: withoutIdentities(attributes) }), file, encryption };
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
