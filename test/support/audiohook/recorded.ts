import { expect } from 'vitest';
import { type AudioHookCallLedger, expectedPcm } from '../../../src/simulator/audiohook/ledger.js';
import type { RecordingIngest } from './recording-ingest.js';
import { SOUND } from './server-rig.js';

/** Sound, length and marks of a stream, all as the caller's books have them. */
export function expectRecorded(ingest: RecordingIngest, books: AudioHookCallLedger): void {
  const stream = ingest.streams.find(({ interactionId }) => interactionId === books.conversationId);
  if (stream === undefined) throw new Error(`no stream of ${books.conversationId}`);
  expect(stream.problems).toEqual([]);
  expect(stream.options).toEqual({ ordered: true });
  expect(stream.pcm(0).length).toBe(books.positionSamples);
  expect(Buffer.compare(bytes(stream.pcm(0)), bytes(expectedPcm(books, SOUND, 'external')))).toBe(0);
  if (books.media?.channels.length === 2) {
    expect(Buffer.compare(bytes(stream.pcm(1)), bytes(expectedPcm(books, SOUND, 'internal')))).toBe(0);
  }
  const kept = books.stretches.filter(({ kind }) => kind !== 'audio');
  expect(stream.marks).toEqual(
    kept.map(({ kind, startSamples, lengthSamples }) => ({ state: kind, start: startSamples, length: lengthSamples })),
  );
}

const bytes = (pcm: Int16Array): Buffer => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
