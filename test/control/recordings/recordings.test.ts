import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  RecordingIndex,
  type RecordingPage,
  type RecordingQuery,
} from '../../../src/control/recordings/recording-index.js';
import { Recordings } from '../../../src/control/recordings/recordings.js';
import { systemClock } from '../../../src/core/clock.js';
import { folderName } from '../../../src/sinks/recorder/files/folder.js';
import { STARTED_MS, writeRecording } from '../../support/recordings.js';

let folder: string;
let closing: (() => unknown)[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-recordings-'));
  closing = [];
});

afterEach(async () => {
  for (const close of closing) await close();
  rmSync(folder, { recursive: true, force: true });
});

function makeIndex(): RecordingIndex {
  const index = new RecordingIndex(folder, systemClock);
  closing.push(() => index.close());
  return index;
}

function makeThread(): Recordings {
  const recordings = new Recordings(folder);
  closing.push(() => recordings.close());
  return recordings;
}

const at = (seconds: number): string => new Date(STARTED_MS + seconds * 1000).toISOString();
const ids = ({ items }: RecordingPage): string[] => items.map(({ id }) => id);

async function allPages(index: RecordingIndex, query: Omit<RecordingQuery, 'cursor'>): Promise<RecordingPage[]> {
  const pages = [await index.query(query)];
  for (let cursor = pages[0]?.nextCursor ?? null; cursor !== null; ) {
    const page = await index.query({ ...query, cursor });
    pages.push(page);
    cursor = page.nextCursor;
  }
  return pages;
}

describe('the index of recordings', () => {
  it('says of each what its folder holds', async () => {
    writeRecording(folder, 'whole', { manifest: { startedAt: at(5), channels: 2 }, pcm: new Int16Array(32_000) });
    writeRecording(folder, 'none', { manifest: { startedAt: at(4) }, pcm: new Int16Array(0) });
    writeRecording(folder, 'part', { manifest: { startedAt: at(3), incomplete: true } });
    writeRecording(folder, 'live', { manifest: { startedAt: at(2) }, unfinished: 'alive' });
    writeRecording(folder, 'killed', { manifest: { startedAt: at(1) }, unfinished: 'dead' });
    const { items, total, isComplete } = await makeIndex().query({ limit: 10 });
    expect({ total, isComplete }).toEqual({ total: 5, isComplete: true });
    expect(items[0]).toEqual({
      attributes: {},
      ...{ id: 'whole', interactionId: 'whole', state: 'recorded', endReason: 'ended' },
      ...{ startedAtMs: STARTED_MS + 5_000, endedAtMs: STARTED_MS + 7_000, durationMs: 2_000 },
      ...{ codec: 'pcmu', sampleRate: 8000, channels: 2, segments: 1, bytes: 64_044, encrypted: false },
    });
    expect(items.map(({ id, state, endedAtMs }) => [id, state, endedAtMs === null])).toEqual([
      ['whole', 'recorded', false],
      ['none', 'empty', false],
      ['part', 'incomplete', false],
      ['live', 'recording', true],
      ['killed', 'unfinished', true],
    ]);
  });

  it('pages through all of them once, filtered, with a total', async () => {
    for (let n = 0; n < 25; n++) writeRecording(folder, `call-${n}`, { manifest: { startedAt: at(n >> 1) } });
    const index = makeIndex();
    const pages = await allPages(index, { limit: 10 });
    expect(pages.map((page) => page.items.length)).toEqual([10, 10, 5]);
    expect(pages.map(({ total }) => total)).toEqual([25, 25, 25]);
    expect(new Set(pages.flatMap(ids)).size).toBe(25);
    expect(pages.flatMap(({ items }) => items.map(({ startedAtMs }) => startedAtMs))).toEqual(
      Array.from({ length: 25 }, (_, n) => STARTED_MS + ((24 - n) >> 1) * 1000),
    );
    const some = await index.query({ limit: 100, fromMs: STARTED_MS + 2_000, toMs: STARTED_MS + 4_000 });
    expect(ids(some).toSorted()).toEqual(['call-4', 'call-5', 'call-6', 'call-7']);
    expect(await index.query({ limit: 5, state: 'incomplete' })).toMatchObject({ items: [], total: 0 });
    await expect(index.query({ limit: 5, cursor: 'bm9uc2Vuc2U' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('finds all recordings of an interaction, whatever its id', async () => {
    const odd = '../../etc/passwd%2f\u0000é';
    const name = folderName(odd);
    for (const id of [name, `${name}-2`, `${name}-3`]) writeRecording(folder, id, { manifest: { interactionId: odd } });
    writeRecording(folder, 'another');
    const index = makeIndex();
    expect(ids(await index.query({ limit: 10, interactionId: odd }))).toEqual([name, `${name}-2`, `${name}-3`]);
    // One that has just been made, before the watch can have reported it.
    writeRecording(folder, `${name}-4`, { manifest: { interactionId: odd } });
    expect((await index.query({ limit: 10, interactionId: odd })).total).toBe(4);
    expect((await index.query({ limit: 10, interactionId: 'x'.repeat(10_000) })).total).toBe(0);
  });

  it('takes up what is new, finished or gone', async () => {
    writeRecording(folder, 'a', { unfinished: 'alive' });
    writeRecording(folder, 'b');
    const index = makeIndex();
    expect((await index.query({ limit: 10 })).total).toBe(2);
    writeRecording(folder, 'c', { manifest: { startedAt: at(9) } });
    rmSync(join(folder, 'b'), { recursive: true });
    await expect.poll(async () => ids(await index.query({ limit: 10 }))).toEqual(['c', 'a']);
    rmSync(join(folder, 'a'), { recursive: true });
    writeRecording(folder, 'a');
    await expect.poll(async () => (await index.query({ limit: 10, state: 'recorded' })).total).toBe(2);
  });

  it('passes over what is no recording: links, damaged manifests, other files', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'trunkline-outside-'));
    closing.push(() => rmSync(outside, { recursive: true }));
    writeRecording(outside, 'secret');
    symlinkSync(join(outside, 'secret'), join(folder, 'linked'));
    writeRecording(folder, 'linked-file');
    rmSync(join(folder, 'linked-file', 'session.json'));
    symlinkSync(join(outside, 'secret', 'session.json'), join(folder, 'linked-file', 'session.json'));
    for (const [name, text] of Object.entries({ half: '{"interactionId":', other: '[]', late: '{"startedAt":"x"}' })) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'session.json'), text);
    }
    mkdirSync(join(folder, '.unfinished'));
    writeFileSync(join(folder, 'audit.jsonl'), '');
    writeRecording(folder, 'good');
    const index = makeIndex();
    expect(ids(await index.query({ limit: 10 }))).toEqual(['good']);
    for (const id of ['linked', '..', '.', '', 'good/../good', '../good', 'good\u0000', 'audit.jsonl']) {
      expect(index.get(id), id).toBeUndefined();
    }
    expect(index.get('good')?.state).toBe('recorded');
  });

  it('does not fail over a folder that cannot be read, and says so', async () => {
    rmSync(folder, { recursive: true });
    const index = makeIndex();
    await expect(index.query({ limit: 1 })).rejects.toMatchObject({ code: 'FILE_FAILED' });
    writeRecording(folder, 'a');
    expect((await index.query({ limit: 1 })).total).toBe(1);
  });
});

describe('the thread of recordings', () => {
  it('answers as the index does, failures included', async () => {
    writeRecording(folder, 'a', { manifest: { spans: [{ state: 'speech', channel: 0, startMs: 0, endMs: 5 }] } });
    writeRecording(folder, 'b', { unfinished: 'alive' });
    const recordings = makeThread();
    expect(await recordings.list({ limit: 10 })).toEqual(await makeIndex().query({ limit: 10 }));
    expect(await recordings.get('a')).toMatchObject({ id: 'a', state: 'recorded' });
    expect(await recordings.get('../a')).toBeUndefined();
    expect(JSON.parse((await recordings.checkpoint('b')) ?? '')).toMatchObject({ interactionId: 'b', endedAt: null });
    expect(await recordings.checkpoint('none')).toBeUndefined();
    await expect(recordings.list({ limit: 1, cursor: '!' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('refuses what is too much, and everything after it was closed', async () => {
    const recordings = makeThread();
    const all = await Promise.allSettled(Array.from({ length: 100 }, () => recordings.list({ limit: 1 })));
    const refused = all.filter((one) => one.status === 'rejected');
    expect(refused).toHaveLength(36);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    const waiting = recordings.list({ limit: 1 });
    const closed = recordings.close();
    await expect(waiting).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    await expect(recordings.get('a')).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    await closed;
  });
});

describe('waveforms', () => {
  const ramp = Int16Array.from({ length: 16_000 }, (_, n) => (n % 2 === 0 ? n * 2 : -n));

  it('have the extremes of each stretch, by channel', async () => {
    writeRecording(folder, 'a', { manifest: { channels: 2 }, pcm: ramp });
    const waveform = await makeThread().waveform('a', 1, 4);
    expect(waveform).toMatchObject({ sampleRate: 8000, durationSeconds: 1 });
    const share = (value: number): number => Math.round((value / 32_768) * 10_000) / 10_000;
    expect(waveform?.channels).toEqual([
      {
        min: [0, 4000, 8000, 12_000].map((n) => share(n * 2)),
        max: [3998, 7998, 11_998, 15_998].map((n) => share(n * 2)),
      },
      { min: [3999, 7999, 11_999, 15_999].map((n) => share(-n)), max: [1, 4001, 8001, 12_001].map((n) => share(-n)) },
    ]);
  });

  it.each([1, 7, 799, 8000, 9000])('of %i points cover every sample once', async (points) => {
    const pcm = Int16Array.from({ length: 8000 }, (_, n) => n - 4000);
    writeRecording(folder, 'a', { pcm });
    const [channel] = (await makeThread().waveform('a', 1, points))?.channels ?? [];
    const { min = [], max = [] } = channel ?? {};
    expect(min).toHaveLength(Math.min(points, 8000));
    expect(min[0]).toBe(Math.round((-4000 / 32_768) * 10_000) / 10_000);
    expect(max.at(-1)).toBe(Math.round((3999 / 32_768) * 10_000) / 10_000);
    // The ramp goes up by one: where one stretch ends the next one begins.
    for (let n = 1; n < min.length; n++) expect(Math.abs((min[n] ?? 9) - (max[n - 1] ?? 0))).toBeLessThan(2e-4);
  });

  it('are computed again when the file has grown, and there are none of what is no audio', async () => {
    writeRecording(folder, 'a', { unfinished: 'alive', pcm: new Int16Array(8000) });
    const recordings = makeThread();
    expect(await recordings.waveform('a', 1, 2)).toMatchObject({ durationSeconds: 1 });
    writeRecording(folder, 'a', { unfinished: 'alive', pcm: new Int16Array(16_000) });
    expect(await recordings.waveform('a', 1, 2)).toMatchObject({ durationSeconds: 2 });
    expect(await recordings.waveform('a', 2, 2)).toBeUndefined();
    expect(await recordings.waveform('..', 1, 2)).toBeUndefined();
    writeFileSync(join(folder, 'a', 'audio-2.wav'), 'no audio');
    expect(await recordings.waveform('a', 2, 2)).toBeUndefined();
    symlinkSync(join(folder, 'a', 'audio.wav'), join(folder, 'a', 'audio-3.wav'));
    expect(await recordings.waveform('a', 3, 2)).toBeUndefined();
  });
});
