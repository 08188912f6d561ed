import { Socket } from 'node:net';
import process from 'node:process';

type OnRead = (this: unknown, ...args: unknown[]) => unknown;

interface Handle {
  onread?: OnRead;
}

/**
 * Counts what the sockets of this process return to it, one call for each read that brought bytes or an end, in
 * whichever way they are read: packets in a read are what the work for a read is shared by. Takes in the connections that are open when
 * it is called, and costs each read one more call.
 *
 * @returns how many there have been; undefined where Node does not show its connections.
 */
export function countSocketReads(): (() => number) | undefined {
  let reads = 0;
  let sockets = 0;
  for (const handle of openHandles()) {
    const stream = handle instanceof Socket && handle.remotePort !== undefined ? streamOf(handle) : undefined;
    const onRead = stream?.onread;
    if (stream === undefined || typeof onRead !== 'function') continue;
    stream.onread = function (this: unknown, ...args) {
      reads++;
      return onRead.apply(this, args);
    };
    sockets++;
  }
  return sockets === 0 ? undefined : () => reads;
}

/** Everything that keeps the event loop alive. */
function openHandles(): readonly unknown[] {
  const { _getActiveHandles: list } = process as unknown as { readonly _getActiveHandles?: () => unknown[] };
  return list === undefined ? [] : list.call(process);
}

function streamOf(socket: Socket): Handle | undefined {
  return (socket as unknown as { readonly _handle?: Handle | null })._handle ?? undefined;
}
