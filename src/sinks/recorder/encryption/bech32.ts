const CHARACTERS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const CHECKSUM_CHARACTERS = 6;

/**
 * The prefix and the bytes of a text in Bech32 (BIP 173), in which age writes recipients and identities: no limit of 90
 * characters, and all letters in one case. Undefined when it is none, or was mistyped.
 */
export function parseBech32(text: string): { readonly prefix: string; readonly bytes: Uint8Array } | undefined {
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return undefined;
  const separator = lower.lastIndexOf('1');
  const prefix = lower.slice(0, separator);
  const values = Array.from(lower.slice(separator + 1), (character) => CHARACTERS.indexOf(character));
  if (separator < 1 || values.length < CHECKSUM_CHARACTERS || values.includes(-1)) return undefined;
  const codes = Array.from(prefix, (character) => character.charCodeAt(0));
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
  if (checksum([...expanded, ...values]) !== 1) return undefined;
  const bytes = bytesOf(values.slice(0, -CHECKSUM_CHARACTERS));
  return bytes && { prefix, bytes };
}

function checksum(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, word] of GENERATOR.entries()) if ((top >> bit) & 1) sum ^= word;
  }
  return sum;
}

/** Groups of five bits as bytes; undefined when what is left over is not zero, or a whole group. */
function bytesOf(values: readonly number[]): Uint8Array | undefined {
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const value of values) {
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((held >> bits) & 0xff);
  }
  if (bits >= 5 || (held & ((1 << bits) - 1)) !== 0) return undefined;
  return Uint8Array.from(bytes);
}
