import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** Of C2SP signed-note: the kind of signature that a key makes. */
const ED25519 = 1;
const KEY_BYTES = 32;
const HASH_BYTES = 4;
const SIGNATURE_BYTES = 64;
/** Begins a line with a signature. */
const SIGNATURE_MARK = '— ';
const MAX_NOTE_CHARACTERS = 1_000_000;
/** PKCS #8 and SubjectPublicKeyInfo of an Ed25519 key (RFC 8410), up to the key itself. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** Checks notes that one key has signed. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyHash: Buffer;
  readonly key: KeyObject;
}

export interface NoteSigner extends NoteVerifier {
  readonly privateKey: KeyObject;
}

/**
 * Notes signed with Ed25519, in the format of C2SP signed-note: the text, an empty line, and for each signature
 * `— <name of the key> <base64 of the first four bytes of the key's hash, and the signature>`. Go reads and writes the same
 * with `golang.org/x/mod/sumdb/note`.
 */
export function signNote(text: string, { name, keyHash, privateKey }: NoteSigner): string {
  const signature = Buffer.concat([keyHash, sign(undefined, Buffer.from(text), privateKey)]);
  return `${text}\n${SIGNATURE_MARK}${name} ${signature.toString('base64')}\n`;
}

/** The text of a note that `verifier` has signed; undefined for anything else. Signatures by others are passed over. */
export function openNote(note: string, verifier: NoteVerifier): string | undefined {
  const split = note.lastIndexOf('\n\n');
  if (split < 0 || note.length > MAX_NOTE_CHARACTERS || !note.endsWith('\n')) return undefined;
  const text = note.slice(0, split + 1);
  const lines = note.slice(split + 2, -1).split('\n');
  let isSigned = false;
  for (const line of lines) {
    const [mark, name, encoded, ...rest] = line.split(' ');
    if (mark !== '—' || name === undefined || encoded === undefined || rest.length > 0) return undefined;
    const bytes = Buffer.from(encoded, 'base64');
    // What else decodes to the same bytes is another text, which nobody has signed.
    if (bytes.toString('base64') !== encoded || bytes.length <= HASH_BYTES) return undefined;
    if (name !== verifier.name || !bytes.subarray(0, HASH_BYTES).equals(verifier.keyHash)) continue;
    if (bytes.length !== HASH_BYTES + SIGNATURE_BYTES) return undefined;
    if (!verify(undefined, Buffer.from(text), verifier.key, bytes.subarray(HASH_BYTES))) return undefined;
    isSigned = true;
  }
  return isSigned ? text : undefined;
}

/** `<name>+<hash>+<key>`, by which others check the notes of a key. */
export function verifierText({ name, keyHash, key }: NoteVerifier): string {
  return `${name}+${keyHash.toString('hex')}+${tagged(publicBytes(key)).toString('base64')}`;
}

/** @throws RangeError for a text that is no such key. */
export function parseVerifier(text: string): NoteVerifier {
  const [name, hash, ...encoded] = text.trim().split('+');
  // Base64 has plus signs of its own.
  const bytes = decode(encoded.join('+'));
  if (!isKeyName(name) || bytes === undefined || bytes[0] !== ED25519) {
    throw new RangeError('This is no public key of the form <name>+<hash>+<key>.');
  }
  const verifier = verifierOf(name, bytes.subarray(1));
  if (verifier.keyHash.toString('hex') !== hash)
    throw new RangeError('The public key does not have the hash it names.');
  return verifier;
}

/** `PRIVATE+KEY+<name>+<hash>+<key>`. */
export function signerText(signer: NoteSigner): string {
  const der = signer.privateKey.export({ format: 'der', type: 'pkcs8' });
  const bytes = tagged(der.subarray(PKCS8.length));
  return `PRIVATE+KEY+${signer.name}+${signer.keyHash.toString('hex')}+${bytes.toString('base64')}`;
}

/** @throws RangeError for a text that is no such key. The message never repeats it. */
export function parseSigner(text: string): NoteSigner {
  const [first, second, name, hash, ...encoded] = text.trim().split('+');
  const bytes = decode(encoded.join('+'));
  if (first !== 'PRIVATE' || second !== 'KEY' || !isKeyName(name) || bytes === undefined || bytes[0] !== ED25519) {
    throw new RangeError('This is no signing key of the form PRIVATE+KEY+<name>+<hash>+<key>.');
  }
  const signer = signerOf(name, bytes.subarray(1));
  if (signer.keyHash.toString('hex') !== hash) throw new RangeError('The signing key does not have the hash it names.');
  return signer;
}

/** @param seed 32 random bytes. */
export function signerOf(name: string, seed: Uint8Array): NoteSigner {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  return { ...verifierOf(name, publicBytes(createPublicKey(privateKey))), privateKey };
}

/** A name of a key has no space and no plus sign. */
export function isKeyName(name: string | undefined): name is string {
  return name !== undefined && /^[^\s+]+$/u.test(name);
}

function verifierOf(name: string, bytes: Uint8Array): NoteVerifier {
  const keyHash = createHash('sha256').update(`${name}\n`).update(tagged(bytes)).digest().subarray(0, HASH_BYTES);
  const key = createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: 'der', type: 'spki' });
  return { name, keyHash, key };
}

function publicBytes(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
}

function tagged(bytes: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(ED25519), bytes]);
}

/** The kind of key and the key. */
function decode(encoded: string): Buffer | undefined {
  const bytes = Buffer.from(encoded, 'base64');
  return bytes.length === 1 + KEY_BYTES && bytes.toString('base64') === encoded ? bytes : undefined;
}
