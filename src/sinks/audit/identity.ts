import { createHmac, randomBytes } from 'node:crypto';
import type { AuditedRecording } from '../../core/events.js';
import { hiddenFolder } from '../../evidence/recording-entry.js';
import { isSensitive } from './redact.js';

/** How the audit names an interaction. */
export interface AuditIdentity {
  /** As it is written: a JSON string. */
  readonly json: string;
  readonly privacyCompliant: boolean;
}

/**
 * Names interactions in the audit.
 *
 * With a key each id is replaced by the first 128 bits of its HMAC-SHA-256 (RFC 2104) in hex: with the key an interaction
 * can be found again, and without it the id cannot be recovered.
 *
 * Without a key ids are written as they are, because those of the platform are random UUIDs. An id that looks like a
 * telephone number, an address or a token is masked with a key that lasts as long as the process, and the entry is not
 * privacy compliant, because the same id names the folder of the recording.
 */
export class AuditIdentities {
  readonly #key: string | undefined;
  readonly #maskKey = randomBytes(32);

  constructor(key: string | undefined) {
    this.#key = key;
  }

  /** The folder of a recording, or its hidden name where ids are replaced or it may show personal data. */
  folderOf(recording: AuditedRecording): string {
    const isShown = this.#key === undefined && !recording.folder.split('/').some(isSensitive);
    return isShown ? recording.folder : hiddenFolder(recording);
  }

  of(interactionId: string): AuditIdentity {
    if (this.#key !== undefined) return identity(pseudonym(this.#key, interactionId), true);
    if (!isSensitive(interactionId)) return identity(interactionId, true);
    return identity(`masked-${pseudonym(this.#maskKey, interactionId)}`, false);
  }
}

function identity(text: string, privacyCompliant: boolean): AuditIdentity {
  return { json: JSON.stringify(text), privacyCompliant };
}

function pseudonym(key: string | Buffer, interactionId: string): string {
  return createHmac('sha256', key).update(interactionId, 'utf8').digest('hex').slice(0, 32);
}
