import { Buffer } from 'node:buffer';

/** RFC 6455 section 5.2. */
export const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

const FIN = 0x80;

export interface FrameForm {
  readonly opcode: number;
  /** Default: the last of its message. */
  readonly fin?: boolean;
  /** Bits that no extension has given a meaning. */
  readonly reserved?: number;
  /** As no server may. */
  readonly masked?: boolean;
  /** Bytes of the length: the fewest when absent. */
  readonly lengthBytes?: 0 | 2 | 8;
}

/** One WebSocket frame as a server sends it, or as none should. */
export function frame(payload: Uint8Array, form: FrameForm): Buffer {
  const { opcode, fin = true, reserved = 0, masked = false } = form;
  const { length } = payload;
  const lengthBytes = form.lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes + (masked ? 4 : 0));
  head[0] = (fin ? FIN : 0) | reserved | opcode;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

export function textFrame(message: Uint8Array): Buffer {
  return frame(message, { opcode: OPCODE.TEXT });
}
