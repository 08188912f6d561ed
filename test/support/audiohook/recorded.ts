import { expect } from 'vitest';
import { type AudioHookCallLedger, expectedPcm } from '../../../src/simulator/audiohook/ledger.js';
import type { RecordingIngest } from './recording-ingest.js';
import { SOUND } from './server-rig.js';

/** Sound, length and marks of a stream, all as the caller's ledger has them. */
export function expectRecorded(ingest: RecordingIngest, ledger: AudioHookCallLedger): void {
  const stream = ingest.streams.find(({ interactionId }) => interactionId === ledger.conversationId);
  if (stream === undefined) throw new Error(`no stream of ${ledger.conversationId}`);
  expect(stream.problems).toEqual([]);
  expect(stream.options).toMatchObject({ ordered: true });
  expect(stream.pcm(0).length).toBe(ledger.positionSamples);
  expect(Buffer.compare(bytes(stream.pcm(0)), bytes(expectedPcm(ledger, SOUND, 'external')))).toBe(0);
  if (ledger.media?.channels.length === 2) {
    expect(Buffer.compare(bytes(stream.pcm(1)), bytes(expectedPcm(ledger, SOUND, 'internal')))).toBe(0);
  }
  const kept = ledger.stretches.filter(({ kind }) => kind !== 'audio');
  expect(stream.marks).toEqual(
    kept.map(({ kind, startSamples, lengthSamples }) => ({ state: kind, start: startSamples, length: lengthSamples })),
  );
}

const bytes = (pcm: Int16Array): Buffer => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
