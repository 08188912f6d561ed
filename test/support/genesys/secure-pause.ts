import type { Buffer } from 'node:buffer';

/** Samples louder than this are the signal that the simulator puts into secure pauses; no voice of it is so loud. */
export const LEVEL = 29_000;

/** Loudest sample of 16-bit little-endian PCM. */
export function marked(pcm: Buffer): number {
  let loudest = 0;
  for (let at = 0; at + 1 < pcm.length; at += 2) loudest = Math.max(loudest, Math.abs(pcm.readInt16LE(at)));
  return loudest;
}
