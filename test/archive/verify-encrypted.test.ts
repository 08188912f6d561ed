import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyFolder } from '../../src/archive/verification/verify-recordings.js';
import { signerOf } from '../../src/evidence/signed-note.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { CheckpointWriter } from '../../src/sinks/audit/checkpoint-writer.js';
import { CHUNK_HEADER_BYTES, readHead } from '../../src/sinks/recorder/encryption/chunk-format.js';
import { ChunkTable } from '../../src/sinks/recorder/encryption/chunk-table.js';
import { OWNER_ONLY } from '../../src/sinks/recorder/files/folder.js';
import { UnfinishedIndex } from '../../src/sinks/recorder/files/unfinished.js';
import { thisWriter } from '../../src/sinks/recorder/files/writer.js';
import { ArchiveRig } from '../support/archive/archive-rig.js';
import { CaptureRig } from '../support/engine/capture-rig.js';
import { opusStream } from '../support/engine/opus-loss.js';
import { streamInfo } from '../support/frames.js';
import { mulberry32 } from '../support/random.js';
import { encryptFor, isWhole, openWith, type Person, person } from '../support/recorder/opening.js';
import { RecorderRig, tone } from '../support/recorder/recorder-rig.js';

/** Every bit and every cut with TRUNKLINE_EVERY_BIT=1, which takes half an hour; without it one in so many, a prime. */
const STRIDE = Number(process.env['TRUNKLINE_EVERY_BIT'] ?? 601);
/** Changes of which one is verified; all are opened, which takes less. */
const VERIFY_EVERY = STRIDE === 1 ? 1 : 9;
const FORMATS = ['wav', 'flac', 'opus'] as const;
const signer = signerOf('test-node', Buffer.alloc(32, 7));

let owner: Person;
let capture: string;
beforeAll(async () => {
  owner = await person();
  capture = mkdtempSync(join(tmpdir(), 'trunkline-verify-encrypted-'));
  for (const format of FORMATS) await record(format, format);
  await record('wav', 'other');
  await enterIntoAudit();
});
afterAll(() => rmSync(capture, { recursive: true, force: true }));

/** A small recording of that format, as a folder of the capture. */
async function record(format: (typeof FORMATS)[number], interactionId: string): Promise<void> {
  const encryption = encryptFor([owner], 1);
  const rig =
    format === 'opus'
      ? new CaptureRig('js', { format, ...encryption })
      : new RecorderRig({ recordings: 1, options: { format, ...encryption } });
  if (rig instanceof CaptureRig) {
    const rate = { codec: 'opus', clockRate: 48_000, sampleRate: 48_000, channels: 1 } as const;
    const stream = rig.open(interactionId, rate);
    const packets = await opusStream(mulberry32(5), 8, { sampleRate: 48_000, ms: [20] });
    for (const { sequence, position: timestamp, payload } of packets) {
      rig.take(stream, { sequence, timestamp, payload, arrivalUs: 2_000_000 + sequence * 20_000 });
    }
    rig.advanceTo(rig.clock.nowUs() + 1_000_000);
    rig.end(stream);
    rig.work();
  } else {
    rig.open(streamInfo({ interactionId }));
    for (let at = 0; at < 4 * 16; at += 16) {
      rig.frame(0, 0, at, tone(at, 16));
      rig.work(1_000_000);
    }
    rig.closeStream(0);
    rig.work();
    rig.recorder.close();
  }
  cpSync(join(rig.outDir, interactionId), join(capture, interactionId), { recursive: true });
  rig.remove();
}

/** As a node does with what is finished; then it is closed. */
async function enterIntoAudit(): Promise<void> {
  const onFault = (message: string): void => expect.fail(message);
  const checkpoints = await CheckpointWriter.open({ directory: capture, fileMode: 0o600, signer, onFault });
  const log = new AuditLog({ file: join(capture, 'audit.jsonl'), region: 'here', checkpoints, onFault });
  await log.open();
  const index = new UnfinishedIndex(capture, thisWriter(), OWNER_ONLY, 1, true);
  for (const id of [...FORMATS, 'other']) index.finished(id);
  index.close();
  const rig = new ArchiveRig(capture, log);
  await rig.worker.open();
  await rig.worker.close(60_000);
  await log.close();
}

async function isVerified(): Promise<boolean> {
  return (await verifyFolder(capture, { publicKey: signer })).faults.length === 0;
}

/** Head and chunks in the order of the file. */
function partsOf(bytes: Buffer): Buffer[] {
  const head = readHead((position, length) => bytes.subarray(position, position + length));
  const table = new ChunkTable(head, (into, length, position) => bytes.copy(into, 0, position, position + length));
  table.scan(bytes.length);
  const offsets = [0, ...table.chunks.map(({ offset }) => offset), table.end];
  return offsets.slice(1).map((end, n) => bytes.subarray(offsets[n], end));
}

/** What may be done with the chunks of a file, also with those of another one. */
function rearranged(bytes: Buffer, other: Buffer): Buffer[] {
  const [head = bytes, ...chunks] = partsOf(bytes);
  const [, ...foreign] = partsOf(other);
  const all: Buffer[][] = [[...chunks, ...chunks]];
  for (const [a, one] of chunks.entries()) {
    all.push(chunks.toSpliced(a, 1), chunks.toSpliced(a, 0, one));
    for (const [b, another] of chunks.entries()) if (a < b) all.push(chunks.with(a, another).with(b, one));
    for (const stranger of foreign) all.push(chunks.with(a, stranger));
  }
  return all.map((list) => Buffer.concat([head, ...list]));
}

it.each(FORMATS)(
  'show every bit that is changed, every cut and every chunk in another place: %s',
  {
    timeout: 3_600_000,
  },
  async (format) => {
    const folder = join(capture, format);
    expect(isWhole(openWith(folder, owner))).toBe(true);
    expect(await isVerified()).toBe(true);
    const counts = { bits: 0, cuts: 0, rearranged: 0 };
    const missed: string[] = [];
    let looks = 0;
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const bytes = readFileSync(path);
      const isAudio = name.endsWith('.enc');
      const look = async (changed: Buffer, what: string): Promise<void> => {
        writeFileSync(path, changed);
        if (looks++ % VERIFY_EVERY === 0 && (await isVerified())) missed.push(`${name}: ${what} passes verify`);
        if (isAudio && isWhole(openWith(folder, owner))) missed.push(`${name}: ${what} passes open`);
      };
      for (let bit = 0; bit < 8 * bytes.length; bit += STRIDE, counts.bits++) {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        await look(changed, `bit ${bit}`);
      }
      for (let length = 0; length < bytes.length; length += Math.ceil(STRIDE / 6), counts.cuts++) {
        await look(bytes.subarray(0, length), `cut at ${length}`);
      }
      if (isAudio) {
        const other = readFileSync(join(capture, 'other', 'audio.wav.enc'));
        for (const [n, forgery] of rearranged(bytes, other).entries()) {
          await look(forgery, `order ${n}`);
          counts.rearranged++;
        }
        expect(partsOf(bytes).at(-1)).toHaveLength(CHUNK_HEADER_BYTES);
      }
      writeFileSync(path, bytes);
    }
    console.log(`${format}: ${JSON.stringify(counts)}, ${missed.length} not detected by open and verify`);
    expect(missed).toEqual([]);
    expect(counts.bits).toBeGreaterThan(10);
    expect(counts.rearranged).toBeGreaterThan(2);
    expect(await isVerified()).toBe(true);
  },
);

it('show files that are exchanged between recordings', async () => {
  const [one, other] = ['wav', 'other'].map((id) => join(capture, id, 'audio.wav.enc')) as [string, string];
  const exchange = (): void => {
    renameSync(one, `${one}.away`);
    renameSync(other, one);
    renameSync(`${one}.away`, other);
  };
  exchange();
  expect(openWith(join(capture, 'wav'), owner).refused).toContain('of the interaction other, not wav');
  expect(await isVerified()).toBe(false);
  exchange();
  expect(await isVerified()).toBe(true);
});
