import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

/** Where net.Socket keeps what its `onread` option sets. */
const FIELDS = ['kBuffer', 'kBufferCb'] as const;

/** The C++ side of a socket. */
interface Handle {
  useUserBuffer(buffer: Buffer): void;
}

/**
 * Has a socket read into `buffer`, and call `onRead` with the number of bytes after each read, instead of allocating
 * 64 kB for each. `onRead` returns false to stop reading until the socket is resumed.
 *
 * For a socket that we connect, that is the `onread` option of net.connect(). For one that a server has accepted, Node
 * has the same mechanism and no way to ask for it, so this sets what the option would have set.
 *
 * @returns false, and nothing has changed, where the sockets of this Node are not made like that.
 */
export function readInto(socket: Socket, buffer: Buffer, onRead: (length: number) => boolean): boolean {
  const [bufferField, callbackField] = fieldsOf(socket);
  const handle: unknown = Reflect.get(socket, '_handle');
  if (bufferField === undefined || callbackField === undefined || !isHandle(handle)) return false;
  if (Reflect.get(socket, bufferField) !== null) return false;
  Reflect.set(socket, bufferField, buffer);
  Reflect.set(socket, callbackField, onRead);
  handle.useUserBuffer(buffer);
  return true;
}

function isHandle(value: unknown): value is Handle {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'useUserBuffer') === 'function';
}

let fields: readonly (symbol | undefined)[] | undefined;

/** The same symbols for all sockets. */
function fieldsOf(socket: Socket): readonly (symbol | undefined)[] {
  fields ??= FIELDS.map((name) => Object.getOwnPropertySymbols(socket).find(({ description }) => description === name));
  return fields;
}
