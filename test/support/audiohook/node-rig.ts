import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type AudioHookCallLedger, expectedPcm } from '../../../src/simulator/audiohook/ledger.js';
import type { AudioHookSound } from '../../../src/simulator/audiohook/sound.js';
import { manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';

export const API_KEY = 'e2e-key';
export const CLIENT_SECRET = 'dHJ1bmtsaW5lIGUyZSBzZWNyZXQ=';
export const KEYS = [{ apiKey: API_KEY, clientSecret: CLIENT_SECRET }];

/** Recordings in a capture's folder. */
export function recordingsIn(out: string): string[] {
  return readdirSync(out).filter((name) => !name.includes('.'));
}

/** The entries of a capture's audit. */
export function auditOf(out: string): Record<string, unknown>[] {
  const lines = readFileSync(join(out, 'audit.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

export function sessionOf(out: string, interactionId: string) {
  return manifestSchema.parse(JSON.parse(readFileSync(join(out, interactionId, 'session.json'), 'utf8')));
}

/** One side of a recording with the plain header of 44 bytes. */
export function recordedPcm(out: string, interactionId: string, channel: 0 | 1): Int16Array {
  const wav = readFileSync(join(out, interactionId, 'audio.wav'));
  expect(wav.readUInt32LE(40)).toBe(wav.length - 44);
  const channels = wav.readUInt16LE(22);
  const length = (wav.length - 44) / 2 / channels;
  return Int16Array.from({ length }, (_, i) => wav.readInt16LE(44 + (i * channels + channel) * 2));
}

/** Where a recording marks one channel as paused, in samples. */
export function pausedIn(session: ReturnType<typeof sessionOf>, channel: 0 | 1): { from: number; to: number }[] {
  return session.spans
    .filter((span) => span.channel === channel && span.state === 'paused')
    .map(({ startMs, endMs }) => ({ from: Math.round(startMs * 8), to: Math.round(endMs * 8) }));
}

/** Sound, length and marked spans of a recording, all as the client's ledger has them. */
export function expectRecorded(out: string, ledger: AudioHookCallLedger, sound: AudioHookSound): void {
  const id = ledger.conversationId;
  const sides = ledger.media?.channels ?? [];
  const session = sessionOf(out, id);
  expect(session).toMatchObject({ interactionId: id, channels: sides.length, sampleRate: 8000, decodeErrors: 0 });
  expect(session.bytesReceived).toBe(ledger.bytesSent);
  expect(session.incomplete).toBeUndefined();
  for (const channel of sides.length === 2 ? ([0, 1] as const) : ([0] as const)) {
    const name = sides.length === 2 ? (['external', 'internal'] as const)[channel] : sides[0];
    const due = expectedPcm(ledger, sound, name ?? 'external');
    const got = recordedPcm(out, id, channel);
    expect(got.length, `length of ${name} of ${id}`).toBe(due.length);
    const wrong = got.findIndex((sample, i) => sample !== due[i]);
    expect(wrong, `first sample of ${name} of ${id} that differs`).toBe(-1);
    const marked = session.spans.filter((span) => span.channel === channel && /paused|discarded/.test(span.state));
    expect(marked).toEqual(markedIn(ledger, channel));
    // Spans follow one another from the start to the end, without gap or overlap.
    const all = session.spans.filter((span) => span.channel === channel);
    expect(all.map(({ startMs }) => startMs)).toEqual([0, ...all.slice(0, -1).map(({ endMs }) => endMs)]);
    expect(all.at(-1)?.endMs).toBe(ledger.positionSamples / 8);
  }
}

function markedIn(ledger: AudioHookCallLedger, channel: 0 | 1) {
  return ledger.stretches
    .filter(({ kind }) => kind !== 'audio')
    .map(({ kind, startSamples, lengthSamples }) => ({
      state: kind,
      channel,
      startMs: startSamples / 8,
      endMs: (startSamples + lengthSamples) / 8,
    }));
}
