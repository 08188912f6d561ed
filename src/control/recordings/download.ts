import { constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import send from '@fastify/send';
import { parseWav, WAV_HEADER_BYTES, wavHeader } from '../../audio/wav.js';

/** What a download answers. */
export interface Download {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly stream: Readable;
}

/** A symbolic link in place of the file is refused. */
const READ_FILE = constants.O_RDONLY | constants.O_NOFOLLOW;

/**
 * A file of a finished recording, in whole or in part, as the request's headers ask for. Undefined when there is no such
 * file, or a symbolic link stands in its place.
 */
export async function finishedFile(
  request: IncomingMessage,
  directory: string,
  id: string,
  file: string,
): Promise<Download | undefined> {
  if (!(await isPlainFile(directory, id, file))) return undefined;
  const options = { root: directory, index: false, dotfiles: 'deny', contentType: false, maxAge: 0 } as const;
  const { statusCode, headers, stream } = await send(request, `/${id}/${file}`, options);
  return statusCode === 404 || statusCode === 403 ? undefined : { status: statusCode, headers, stream };
}

/**
 * The audio of a recording that is being written, as long as it is at this moment: its header on disk has no length yet,
 * so that one is sent that has. Always whole. Undefined when there is no such audio.
 */
export async function unfinishedAudio(directory: string, id: string, file: string): Promise<Download | undefined> {
  if (!(await isPlainFile(directory, id, file))) return undefined;
  const handle = await open(join(directory, id, file), READ_FILE).catch(() => undefined);
  if (handle === undefined) return undefined;
  const layout = await layoutOf(handle);
  if (layout === undefined) {
    await handle.close();
    return undefined;
  }
  const { sampleRate, channels, dataOffset, dataLength } = layout;
  const header = wavHeader({ sampleRate, channels }, dataLength);
  const headers = { 'content-length': header.length + dataLength, 'accept-ranges': 'none' };
  const stream = Readable.from(parts(header, handle, dataOffset, dataLength));
  // Also when the client is gone before the first part is asked for.
  stream.once('close', () => void handle.close().catch(() => {}));
  return { status: 200, headers, stream };
}

async function* parts(header: Uint8Array, handle: FileHandle, start: number, length: number): AsyncGenerator<Buffer> {
  yield Buffer.from(header);
  if (length === 0) return;
  const audio = handle.createReadStream({ start, end: start + length - 1, autoClose: false });
  for await (const part of audio) yield part as Buffer;
}

async function layoutOf(handle: FileHandle) {
  const { size } = await handle.stat();
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(WAV_HEADER_BYTES), 0, WAV_HEADER_BYTES, 0);
  try {
    return parseWav(buffer.subarray(0, bytesRead), size);
  } catch {
    return undefined;
  }
}

/** A symbolic link on the way is none, also in place of a folder of the layout. */
async function isPlainFile(directory: string, id: string, file: string): Promise<boolean> {
  try {
    let folder = directory;
    for (const name of id.split('/')) {
      folder = join(folder, name);
      if (!(await lstat(folder)).isDirectory()) return false;
    }
    return (await lstat(join(folder, file))).isFile();
  } catch {
    return false;
  }
}
