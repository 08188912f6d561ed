import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { type Identity, publicKey, type Recipient, rawPublicKey } from './age-keys.js';

/**
 * Files of the age format (age-encryption.org/v1, C2SP) with a few bytes in them: a recording's key. All of it is
 * node:crypto and returns at once: the recorder's thread has no event loop that a promise could wait for.
 *
 *     age-encryption.org/v1
 *     -> X25519 <share>            one stanza a recipient: the file key, encrypted
 *     <encrypted file key>
 *     --- <HMAC of the lines above>
 *     <nonce, 16 bytes><payload>   ChaCha20-Poly1305 in chunks of 64 KiB: here always one, the last
 */
const INTRO = 'age-encryption.org/v1';
const X25519 = 'age-encryption.org/v1/X25519';
const FILE_KEY_BYTES = 16;
const NONCE_BYTES = 16;
const TAG_BYTES = 16;
const ZERO_NONCE = Buffer.alloc(12);
/** Counter 0, and the mark of the last chunk. */
const ONLY_CHUNK = Buffer.from('000000000000000000000001', 'hex');
/** No header that this module writes is longer. */
const MAX_HEADER_BYTES = 1 << 20;

export function encryptFor(recipients: readonly Recipient[], payload: Uint8Array): Buffer {
  const fileKey = randomBytes(FILE_KEY_BYTES);
  const stanzas = recipients.map((recipient) => stanzaFor(recipient, fileKey));
  const header = `${INTRO}\n${stanzas.join('')}---`;
  const nonce = randomBytes(NONCE_BYTES);
  const parts = [
    Buffer.from(`${header} ${base64(macOf(header, fileKey))}\n`),
    nonce,
    seal(derive(fileKey, nonce, 'payload'), ONLY_CHUNK, payload),
  ];
  fileKey.fill(0);
  return Buffer.concat(parts);
}

/** Undefined when it was encrypted for others, or is damaged. */
export function decryptWith(identities: readonly Identity[], file: Buffer): Buffer | undefined {
  const header = parseHeader(file);
  if (header === undefined) return undefined;
  for (const stanza of header.stanzas) {
    for (const identity of identities) {
      const fileKey = fileKeyOf(stanza, identity);
      if (fileKey === undefined) continue;
      if (!timingSafeEqual(macOf(header.text, fileKey), header.mac)) return undefined;
      const nonce = file.subarray(header.end, header.end + NONCE_BYTES);
      return open(derive(fileKey, nonce, 'payload'), ONLY_CHUNK, file.subarray(header.end + NONCE_BYTES));
    }
  }
  return undefined;
}

interface Stanza {
  readonly type: string;
  readonly argument: string;
  readonly body: Buffer;
}

function stanzaFor({ key, bytes }: Recipient, fileKey: Buffer): string {
  const ephemeral = generateKeyPairSync('x25519');
  const share = rawPublicKey(ephemeral.publicKey);
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: key });
  const body = seal(derive(secret, Buffer.concat([share, bytes]), X25519), ZERO_NONCE, fileKey);
  return `-> X25519 ${base64(share)}\n${base64(body)}\n`;
}

function fileKeyOf({ type, argument, body }: Stanza, { key, recipient }: Identity): Buffer | undefined {
  const share = fromBase64(argument);
  if (type !== 'X25519' || share?.length !== 32 || body.length !== FILE_KEY_BYTES + TAG_BYTES) return undefined;
  try {
    const secret = diffieHellman({ privateKey: key, publicKey: publicKey(share) });
    return open(derive(secret, Buffer.concat([share, recipient]), X25519), ZERO_NONCE, body);
  } catch {
    // The exchange refuses a share of low order.
    return undefined;
  }
}

function parseHeader(file: Buffer) {
  const text = file.toString('latin1', 0, Math.min(file.length, MAX_HEADER_BYTES));
  const [intro, ...lines] = text.split('\n');
  const stanzas: Stanza[] = [];
  if (intro !== INTRO) return undefined;
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const line = lines[at] as string;
    if (line.startsWith('--- ')) {
      const mac = fromBase64(line.slice(4));
      const end = INTRO.length + 1 + lines.slice(0, at + 1).reduce((sum, one) => sum + one.length + 1, 0);
      const header = `${text.slice(0, end - line.length - 1)}---`;
      return mac?.length === 32 && file.length >= end + NONCE_BYTES ? { stanzas, mac, end, text: header } : undefined;
    }
    const [arrow, type, argument = ''] = line.split(' ');
    const body = fromBase64(lines[at + 1] as string);
    if (arrow !== '->' || type === undefined || body === undefined) return undefined;
    stanzas.push({ type, argument, body });
  }
  return undefined;
}

function macOf(header: string, fileKey: Buffer): Buffer {
  return createHmac('sha256', derive(fileKey, Buffer.alloc(0), 'header'))
    .update(header, 'latin1')
    .digest();
}

function derive(secret: Uint8Array, salt: Uint8Array, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, info, 32));
}

function seal(key: Buffer, nonce: Buffer, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Buffer, nonce: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** Without padding, as age has it. */
function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}

/** Undefined for what base64() does not write: Buffer.from is tolerant. */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return base64(bytes) === text ? bytes : undefined;
}
