import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { TrunklineError } from '../../../src/core/errors.js';
import { type Identity, parseIdentities } from '../../../src/sinks/recorder/encryption/age-keys.js';
import { encryptionKeys } from '../../../src/sinks/recorder/encryption/encryption.js';
import { encryptedFiles, type Opened, OpenedRecording } from '../../../src/sinks/recorder/encryption/open-recording.js';

/** Somebody who may open recordings, made by another implementation of age. */
export interface Person {
  readonly recipient: string;
  readonly secret: string;
  readonly identities: readonly Identity[];
}

export async function person(): Promise<Person> {
  const secret = await generateX25519Identity();
  return { secret, recipient: await identityToRecipient(secret), identities: parseIdentities(secret, 'test') };
}

/** Options of a recorder with so many recordings that encrypts for these. */
export function encryptFor(people: readonly Person[], recordings = 4, native = true) {
  const recipients = people.map(({ recipient }) => recipient);
  return { encryption: { recipients, keys: encryptionKeys(recordings), native } };
}

export interface Result {
  readonly content: Buffer;
  readonly opened: Opened | undefined;
  /** Why it could not be opened at all. */
  readonly refused: string | undefined;
}

/** Opens a recording's folder or file, as the command does. @param number of the file in the folder. */
export function openWith(
  path: string,
  { identities }: Person,
  stretch: { fromSeconds?: number; toSeconds?: number } = {},
  number = 0,
): Result {
  const blocks: Buffer[] = [];
  let recording: OpenedRecording | undefined;
  try {
    const file = encryptedFiles(path)[number];
    if (file === undefined) throw new Error('There is no file.');
    recording = new OpenedRecording(file, identities);
    const content = recording.content(stretch);
    let next = content.next();
    for (; !next.done; next = content.next()) blocks.push(next.value);
    return { content: Buffer.concat(blocks), opened: next.value, refused: undefined };
  } catch (thrown) {
    if (!(thrown instanceof TrunklineError)) throw thrown;
    return { content: Buffer.concat(blocks), opened: undefined, refused: thrown.message };
  } finally {
    recording?.close();
  }
}

/** All of it, and proven to be all. */
export function isWhole({ opened }: Result): boolean {
  return opened?.isSealed === true && opened.damage === undefined;
}
