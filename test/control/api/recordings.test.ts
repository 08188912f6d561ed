import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { parseWav } from '../../../src/audio/wav.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import { makeTokenFile, startControlNode } from '../../support/control/control-node.js';
import { TestCalls } from '../../support/control/test-calls.js';
import { STARTED_MS, writeRecording } from '../../support/recordings.js';
import { until } from '../../support/until.js';

interface Page {
  readonly items: readonly { readonly id: string }[];
  readonly total: number;
  readonly nextCursor: string | null;
  readonly complete: boolean;
}

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trunkline-recorded-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

const PCM = Int16Array.from({ length: 8000 }, (_, n) => n - 4000);
const pathOf = (id: string, rest = ''): string => `/api/v1/recordings/${encodeURIComponent(id)}${rest}`;

interface Bytes {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
}

/** The bytes of an answer. */
function download(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, method, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes: Buffer.concat(parts) });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('recordings', () => {
  it('are listed by time, interaction and state', async () => {
    for (let n = 0; n < 12; n++) {
      const startedAt = new Date(STARTED_MS + n * 60_000).toISOString();
      writeRecording(folder, `call-${n}`, { manifest: { startedAt, ...(n === 3 ? { incomplete: true } : {}) } });
    }
    const { ask } = await startControlNode({ recordings: folder });
    const list = async (query: string): Promise<Page> => (await ask(`/api/v1/recordings${query}`)).json as Page;
    const first = await list('?limit=5');
    expect(first).toMatchObject({ total: 12, complete: true });
    expect(first.items[0]).toEqual({
      attributes: {},
      ...{ id: 'call-11', interactionId: 'call-11', state: 'recorded', endReason: 'ended', durationSeconds: 1 },
      ...{ startedAt: '2026-03-01T10:11:00.000Z', endedAt: '2026-03-01T10:11:01.000Z' },
      ...{ codec: 'pcmu', sampleRate: 8000, channels: 1, segmentCount: 1, bytes: 16_044, encrypted: false },
    });
    const second = await list(`?limit=5&cursor=${first.nextCursor}`);
    expect(second.items.map(({ id }) => id)).toEqual(['call-6', 'call-5', 'call-4', 'call-3', 'call-2']);
    const some = await list('?from=2026-03-01T10:02:00Z&to=2026-03-01T11:04:00%2B01:00');
    expect(some.items.map(({ id }) => id)).toEqual(['call-3', 'call-2']);
    expect((await list('?state=incomplete')).items).toMatchObject([{ id: 'call-3' }]);
    expect((await list('?interactionId=CALL-7')).items).toMatchObject([{ id: 'call-7' }]);
    for (const query of ['from=yesterday', 'state=lost', 'limit=501', 'cursor=x']) {
      expect((await ask(`/api/v1/recordings?${query}`)).status, query).toBe(400);
    }
  });

  it('have details, a manifest and a waveform', async () => {
    const spans = [{ state: 'speech' as const, channel: 0 as const, startMs: 0, endMs: 1000 }];
    writeRecording(folder, 'a', { pcm: PCM, manifest: { spans, packetsLost: 3 } });
    const { ask } = await startControlNode({ recordings: folder });
    expect((await ask(pathOf('a'))).json).toMatchObject({
      ...{ id: 'a', packetsReceived: 50, packetsLost: 3, spans, spansComplete: true, organizationId: null },
      segments: [{ file: 'audio.wav', startMs: 0, codec: 'pcmu', sampleRate: 8000, channels: 1 }],
    });
    expect((await ask(pathOf('a', '/session.json'))).json).toMatchObject({ interactionId: 'a', spans });
    expect((await ask(pathOf('a', '/waveform?points=2'))).json).toEqual({
      ...{ sampleRate: 8000, durationSeconds: 1 },
      channels: [{ min: [-0.1221, 0], max: [0, 0.122] }],
    });
    for (const query of ['points=0', 'points=4001', 'points=x', 'segment=0']) {
      expect((await ask(pathOf('a', `/waveform?${query}`))).status, query).toBe(400);
    }
    expect((await ask(pathOf('a', '/waveform?segment=2'))).status).toBe(404);
  });

  it('are downloaded in whole and in part', async () => {
    writeRecording(folder, 'a', { pcm: PCM });
    writeFileSync(join(folder, 'a', 'audio-2.wav'), 'second');
    const { control } = await startControlNode({ recordings: folder });
    const url = `${control.url}${pathOf('a', '/audio.wav')}`;
    const file = readFileSync(join(folder, 'a', 'audio.wav'));
    const whole = await download(url);
    expect(whole).toMatchObject({
      status: 200,
      headers: { 'content-type': 'audio/wav', 'accept-ranges': 'bytes', 'cache-control': 'private, no-cache' },
    });
    expect(whole.bytes.equals(file)).toBe(true);
    const part = await download(url, { range: 'bytes=100-199' });
    expect(part).toMatchObject({ status: 206, headers: { 'content-range': `bytes 100-199/${file.length}` } });
    expect(part.bytes.equals(file.subarray(100, 200))).toBe(true);
    const end = await download(url, { range: 'bytes=-44' });
    expect(end.bytes.equals(file.subarray(file.length - 44))).toBe(true);
    expect((await download(url, { range: 'bytes=99999-' })).status).toBe(416);
    const { etag = '' } = whole.headers;
    expect((await download(url, { 'if-none-match': etag })).status).toBe(304);
    const head = await download(url, {}, 'HEAD');
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': String(file.length) } });
    expect(head.bytes).toHaveLength(0);
    expect((await download(`${url}?segment=2`)).bytes.toString()).toBe('second');
    expect((await download(`${url}?segment=3`)).status).toBe(404);
  });

  it('that are being written are downloaded as long as they are', async () => {
    const calls = new TestCalls();
    const sinks = [recorder({ directory: folder })];
    const engine = { playoutDelayMs: 0 };
    const { node, control, ask } = await startControlNode({ recordings: folder }, { sources: [calls], sinks, engine });
    calls.open('call-1');
    calls.push('call-1', 100);
    const url = `${control.url}${pathOf('call-1', '/audio.wav')}`;
    const size = async (): Promise<number> => (await download(url)).bytes.length;
    await expect.poll(size).toBe(32_044);
    expect((await ask('/api/v1/recordings')).json).toMatchObject({ items: [{ id: 'call-1', state: 'recording' }] });
    expect((await ask(pathOf('call-1', '/session.json'))).json).toMatchObject({ endedAt: null });
    const { status, headers, bytes } = await download(url, { range: 'bytes=0-9' });
    expect({ status, ranges: headers['accept-ranges'] }).toEqual({ status: 200, ranges: 'none' });
    expect(parseWav(bytes)).toMatchObject({ sampleRate: 8000, channels: 1, dataOffset: 44, dataLength: 32_000 });
    expect(bytes.readUInt32LE(40)).toBe(32_000);
    calls.finish('call-1');
    await until(() => node.stats().streams === 0, 'the end');
    await expect
      .poll(async () => (await ask(pathOf('call-1'))).json)
      .toMatchObject({ state: 'recorded', bytes: 32_044 });
    expect((await download(url, { range: 'bytes=0-9' })).status).toBe(206);
  });

  it('whose names lead elsewhere are not found', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'trunkline-outside-'));
    onTestFinished(() => rmSync(outside, { recursive: true }));
    writeRecording(outside, 'secret', { pcm: PCM });
    mkdirSync(join(folder, '.unfinished'));
    writeFileSync(join(folder, 'audit.jsonl'), 'secret');
    symlinkSync(join(outside, 'secret'), join(folder, 'linked'));
    const { control } = await startControlNode({ recordings: folder });
    const names = ['..', '.', '../secret', '..%2fsecret', 'a/../../secret', '/etc/passwd', 'linked', 'none'];
    for (const id of [...names, '.unfinished', 'a\u0000', 'C:\\x', 'x'.repeat(300), 'audit.jsonl']) {
      for (const rest of ['', '/audio.wav', '/session.json', '/waveform']) {
        const { status, bytes } = await download(`${control.url}${pathOf(id, rest)}`);
        expect(status, id + rest).toBe(404);
        expect(bytes.toString()).not.toContain('RIFF');
      }
    }
  });

  it('whose files are links are not followed', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'trunkline-outside-'));
    onTestFinished(() => rmSync(outside, { recursive: true }));
    writeFileSync(join(outside, 'secret.wav'), 'secret');
    for (const [id, options] of [
      ['finished', {}],
      ['live', { unfinished: 'alive' }],
    ] as const) {
      writeRecording(folder, id, options);
      rmSync(join(folder, id, 'audio.wav'));
      symlinkSync(join(outside, 'secret.wav'), join(folder, id, 'audio.wav'));
    }
    const { ask } = await startControlNode({ recordings: folder });
    for (const id of ['finished', 'live']) {
      for (const rest of ['/audio.wav', '/waveform']) expect((await ask(pathOf(id, rest))).status).toBe(404);
    }
  });

  it('are for listeners, lists for viewers; a download is audited with the name of the token', async () => {
    writeRecording(folder, 'a', { pcm: PCM });
    const { file, tokens } = makeTokenFile();
    const { ask, audited } = await startControlNode({ recordings: folder, tokensFile: file });
    expect((await ask('/api/v1/recordings', { token: tokens.viewer })).status).toBe(200);
    for (const rest of ['', '/audio.wav', '/session.json', '/waveform']) {
      expect((await ask(pathOf('a', rest), { token: tokens.viewer })).status).toBe(403);
      expect((await ask(pathOf('a', rest), { token: tokens.listener })).status).toBe(200);
    }
    const headers = { range: 'bytes=100-' };
    expect((await ask(pathOf('a', '/audio.wav'), { token: tokens.listener, headers })).status).toBe(206);
    const entries = audited.filter(({ action }) => action === 'control_downloaded');
    expect(entries.map(({ interactionId, fields }) => [interactionId, fields.actor, fields.detail])).toEqual([
      ['a', 'listener-1', 'audio.wav'],
      ['a', 'listener-1', 'session.json'],
      ['a', 'listener-1', 'audio.wav bytes=100-'],
    ]);
    expect(JSON.stringify(audited)).not.toContain(tokens.listener);
  });

  it('that are encrypted are downloaded as they are stored, and not played', async () => {
    writeRecording(folder, 'a', { pcm: PCM });
    const path = join(folder, 'a', 'session.json');
    const manifest = JSON.parse(readFileSync(path, 'utf8'));
    const stored = { ...manifest, file: 'audio.wav.enc', encryption: { version: 1, sealed: true } };
    writeFileSync(path, JSON.stringify(stored));
    renameSync(join(folder, 'a', 'audio.wav'), join(folder, 'a', 'audio.wav.enc'));
    const { control, ask } = await startControlNode({ recordings: folder });
    const { json } = await ask(pathOf('a'));
    expect(json).toMatchObject({ encrypted: true, bytes: 16_044, durationSeconds: 1 });
    for (const rest of ['/audio.wav', '/waveform']) {
      const answer = await ask(pathOf('a', rest));
      expect(answer.status).toBe(409);
      expect(answer.json).toMatchObject({
        error: { code: 'encrypted', message: expect.stringContaining('trunkline open') },
      });
    }
    const { status, headers, bytes } = await download(`${control.url}${pathOf('a', '/encrypted')}`);
    expect([status, headers['content-type']]).toEqual([200, 'application/octet-stream']);
    expect(headers['content-disposition']).toContain('a-audio.wav.enc');
    expect(bytes).toEqual(readFileSync(join(folder, 'a', 'audio.wav.enc')));
    const channelFiles = ['audio-external.opus.enc', 'audio-internal.opus.enc'];
    writeFileSync(path, JSON.stringify({ ...stored, channels: 2, file: channelFiles[0], channelFiles }));
    for (const [channel, file] of channelFiles.entries()) {
      writeFileSync(join(folder, 'a', file), file);
      const one = await download(`${control.url}${pathOf('a', `/encrypted?channel=${channel}`)}`);
      expect(one.bytes.toString()).toBe(file);
    }
    writeFileSync(path, JSON.stringify({ ...stored, file: '../a/audio.wav.enc' }));
    expect((await ask(pathOf('a', '/encrypted'))).status).toBe(404);
    writeRecording(folder, 'b', { pcm: PCM });
    expect((await ask(pathOf('b', '/encrypted'))).status).toBe(404);
  });

  it('are none where nothing is recorded', async () => {
    const { ask } = await startControlNode();
    expect(await ask('/api/v1/recordings')).toMatchObject({ status: 404, json: { error: { code: 'noRecordings' } } });
    const { ask: missing } = await startControlNode({ recordings: join(folder, 'missing') });
    expect(await missing('/api/v1/recordings')).toMatchObject({ status: 503, json: { error: { code: 'fileFailed' } } });
  });
});
