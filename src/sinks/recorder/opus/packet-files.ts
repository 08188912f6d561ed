import { type ByteFile, PlainFile } from '../files/byte-file.js';

/** The files of a recording of packets, before they are opened. Channels count from 0. */
export interface PacketFiles {
  /** That of a channel, as it is recorded; any number of such objects are of the same file. */
  packets(channel: number): ByteFile;
  late(): ByteFile;
  /** What is to take the place of packets(). */
  rewritten(channel: number): ByteFile;
  /** It is complete: packets() is of no use from now on. */
  replace(channel: number): void;
  /** replace() was called, perhaps by an earlier thread, which has died before it could give the file its name. */
  isReplaced(channel: number): boolean;
}

export const PLAIN_PACKETS: PacketFiles = {
  packets: () => new PlainFile(),
  late: () => new PlainFile(),
  rewritten: () => new PlainFile(),
  // The old file can be read until the new one has its name.
  replace: () => {},
  isReplaced: () => false,
};
