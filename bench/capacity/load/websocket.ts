import { Buffer } from 'node:buffer';

/** Frames of RFC 6455 5.2 for what is written to a socket past the `ws` object that made it: whole messages. */

const TEXT = 0x81;
const BINARY = 0x82;
const MASKED = 0x80;
const LENGTH_16 = 126;
const MASK_BYTES = 4;

/** A text message as a server sends it. @throws RangeError above 65,535 bytes. */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([textHeader(payload.length), payload]);
}

/** What a server sends before a text message of so many bytes. @throws RangeError above 65,535. */
export function textHeader(bytes: number): Buffer {
  return header(TEXT, 0, bytes);
}

/**
 * A binary message as a client sends it, masked (5.3). The mask of a real client is unpredictable, to protect proxies
 * from what scripts could make it send; for taking it off again any is as good.
 *
 * @throws RangeError above 65,535 bytes.
 */
export function maskedFrame(payload: Uint8Array, mask: readonly [number, number, number, number]): Buffer {
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) masked[i] = (masked[i] as number) ^ (mask[i % MASK_BYTES] as number);
  return Buffer.concat([header(BINARY, MASKED, payload.length), Buffer.from(mask), masked]);
}

function header(opcode: number, masked: number, length: number): Buffer {
  if (length > 0xffff) throw new RangeError(`No message of a benchmark has ${length} bytes.`);
  if (length < LENGTH_16) return Buffer.from([opcode, masked | length]);
  return Buffer.from([opcode, masked | LENGTH_16, length >> 8, length & 0xff]);
}
