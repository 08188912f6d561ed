import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHUNK_HEADER_BYTES, readHead } from '../../../../src/sinks/recorder/encryption/chunk-format.js';
import { ChunkTable } from '../../../../src/sinks/recorder/encryption/chunk-table.js';
import { streamInfo } from '../../../support/frames.js';
import { encryptFor, isWhole, openWith, type Person, person, type Result } from '../../../support/recorder/opening.js';
import { RecorderRig, tone } from '../../../support/recorder/recorder-rig.js';

const WIDE = process.env['TRUNKLINE_ENCRYPTION'] === 'wide';
/** Of the bits, and of the lengths, every so manieth by default: a prime, so that all kinds of byte are hit. */
const STRIDE = WIDE ? 1 : 13;

let owner: Person;
let dir = '';
/** A small recording, what it was some chunks before its end, and another one of the same sizes. */
let file: Buffer;
let content: Buffer;
let earlier: Buffer;
let other: Buffer;
beforeAll(async () => {
  owner = await person();
  dir = mkdtempSync(join(tmpdir(), 'trunkline-tampering-'));
  [file, earlier] = record('call');
  [other] = record('other');
  content = open(file).content;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function record(interactionId: string): [file: Buffer, earlier: Buffer] {
  const r = new RecorderRig({ options: encryptFor([owner]) });
  const path = join(r.outDir, interactionId, 'audio.wav.enc');
  r.open(streamInfo({ interactionId }));
  let before = Buffer.alloc(0);
  for (let at = 0; at < 5 * 16; at += 16) {
    r.frame(0, 0, at, tone(at, 16));
    r.work(1_000_000);
    if (at === 32) before = readFileSync(path);
  }
  r.closeStream(0);
  r.work();
  const bytes = readFileSync(path);
  r.remove();
  return [bytes, before];
}

function open(bytes: Buffer): Result {
  const path = join(dir, 'audio.wav.enc');
  writeFileSync(path, bytes);
  return openWith(path, owner);
}

/** Counts as detected: refused, damaged, or its end not proven; and nothing of another content may come out. */
function isDetected(bytes: Buffer): boolean {
  const result = open(bytes);
  if (isWhole(result)) return false;
  // The header of an unfinished WAV file is not from the file.
  const audio = result.content.subarray(44);
  return audio.equals(content.subarray(44, 44 + audio.length));
}

/** Head, chunks, in the order of the file. */
function partsOf(bytes: Buffer): { head: Buffer; chunks: Buffer[] } {
  const head = readHead((position, length) => bytes.subarray(position, position + length));
  const table = new ChunkTable(head, (into, length, position) => bytes.copy(into, 0, position, position + length));
  table.scan(bytes.length);
  const offsets = [...table.chunks.map(({ offset }) => offset), table.end];
  const chunks = table.chunks.map(({ offset }, at) => bytes.subarray(offset, offsets[at + 1]));
  return { head: head.bytes, chunks };
}

const counted = (what: string, count: number) =>
  process.stdout.write(`tampering: ${count} ${what}, every one detected\n`);

describe('a small encrypted recording', () => {
  it('is whole as it is', () => {
    expect(isWhole(open(file))).toBe(true);
    expect(content).toHaveLength(44 + 2 * 80);
    expect(partsOf(file).chunks.length).toBeGreaterThan(5);
  });

  it('shows every bit that is flipped', () => {
    let count = 0;
    for (let bit = 0; bit < 8 * file.length; bit += STRIDE, count++) {
      const changed = Buffer.from(file);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      if (!isDetected(changed)) expect.fail(`bit ${bit & 7} of byte ${bit >> 3} may be flipped`);
    }
    counted('flipped bits', count);
    expect(count).toBeGreaterThan(500);
  });

  it('shows every cut, and every byte too many', () => {
    let count = 0;
    for (let length = 0; length < file.length; length += WIDE ? 1 : 3, count++) {
      if (!isDetected(file.subarray(0, length))) expect.fail(`it may be cut at byte ${length}`);
    }
    for (const more of [1, CHUNK_HEADER_BYTES, 100]) {
      expect(isDetected(Buffer.concat([file, Buffer.alloc(more)]))).toBe(true);
      expect(isDetected(Buffer.concat([file, file.subarray(-more)]))).toBe(true);
    }
    counted('cuts', count);
  });

  it('shows chunks that are swapped, dropped, repeated, or from another recording', () => {
    const { head, chunks } = partsOf(file);
    const foreign = partsOf(other).chunks;
    const put = (list: readonly (Buffer | undefined)[]) =>
      Buffer.concat([head, ...list.filter((one) => one !== undefined)]);
    const forgeries: Buffer[] = [];
    for (const [a, one] of chunks.entries()) {
      forgeries.push(put(chunks.filter((_, at) => at !== a)));
      forgeries.push(put(chunks.with(a, foreign[a] as Buffer)));
      for (const [b, another] of chunks.entries()) {
        if (a !== b) forgeries.push(put(chunks.with(a, another)), put(chunks.toSpliced(b, 0, one)));
        if (a < b) forgeries.push(put(chunks.with(a, another).with(b, one)));
      }
    }
    forgeries.push(Buffer.concat([partsOf(other).head, ...chunks]), put([...chunks, ...chunks]));
    for (const [at, forgery] of forgeries.entries())
      if (!isDetected(forgery)) expect.fail(`forgery ${at} is not detected`);
    counted('files of other chunks', forgeries.length);
    expect(forgeries.length).toBeGreaterThan(100);
  });

  it('shows an older version, with its end or without it', () => {
    const { head, chunks } = partsOf(file);
    const before = partsOf(earlier).chunks;
    expect(before.length).toBeGreaterThan(2);
    const final = chunks.at(-1) as Buffer;
    for (const forgery of [earlier, Buffer.concat([head, ...before, final])]) expect(isDetected(forgery)).toBe(true);
    for (let n = 0; n < chunks.length; n++) {
      expect(isDetected(Buffer.concat([head, ...chunks.slice(0, n), final]))).toBe(n !== chunks.length - 1);
    }
  });

  it('names the chunk and its second', () => {
    const { head, chunks } = partsOf(file);
    const changed = Buffer.from(file);
    const at = head.length + chunks.slice(0, 3).reduce((sum, chunk) => sum + chunk.length, 0) + CHUNK_HEADER_BYTES;
    changed[at] = (changed[at] as number) ^ 1;
    const { content: before, opened } = open(changed);
    const first = tone(0, 80).subarray(0, 48);
    expect(opened?.damage).toMatchObject({ chunk: 3, position: 44 + 2 * 48, second: 48 / 8000 });
    expect(before.length === 0 || before.subarray(44).equals(Buffer.from(first.buffer, 0, 96))).toBe(true);
  });

  it('is not taken for another recording whose folder it lies in', () => {
    const folder = join(dir, 'call');
    mkdirSync(folder);
    const manifest = {
      ...{ interactionId: 'call', codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 },
      ...{ startedAt: '2024-01-01T00:00:00.000Z', endedAt: null, endReason: 'ended', spans: [] },
      ...{ packetsReceived: 0, bytesReceived: 0, packetsLost: 0, packetsLate: 0, packetsDuplicate: 0 },
      ...{ packetsReordered: 0, decodeErrors: 0, file: 'audio.wav.enc', encryption: { version: 1, sealed: true } },
    };
    writeFileSync(join(folder, 'session.json'), JSON.stringify(manifest));
    writeFileSync(join(folder, 'audio.wav.enc'), file);
    expect(isWhole(openWith(folder, owner))).toBe(true);
    writeFileSync(join(folder, 'audio.wav.enc'), other);
    expect(openWith(folder, owner).refused).toContain('of the interaction other, not call');
    writeFileSync(join(folder, 'session.json'), JSON.stringify({ ...manifest, file: '../audio.wav.enc' }));
    expect(openWith(folder, owner).refused).toContain('is not encrypted');
  });
});
