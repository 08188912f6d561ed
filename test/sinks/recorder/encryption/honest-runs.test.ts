import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { FLAG, MARK } from '../../../../src/ring/layout.js';
import { EncryptedSource } from '../../../../src/sinks/recorder/encryption/encrypted-reader.js';
import { repairRecordings } from '../../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../../support/frames.js';
import { mulberry32, type Random } from '../../../support/random.js';
import { encryptFor, isWhole, openWith, type Person, person } from '../../../support/recorder/opening.js';
import { RecorderRig, tone } from '../../../support/recorder/recorder-rig.js';

/** TRUNKLINE_ENCRYPTION_RUNS=10000 takes ten minutes. */
const RUNS = Number(process.env['TRUNKLINE_ENCRYPTION_RUNS'] ?? 40);
const SEED = Number(process.env['TRUNKLINE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const DEAD = { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' };
const ID = streamInfo().interactionId;

let owner: Person;
beforeAll(async () => {
  owner = await person();
});

/** A call with lost and late packets, pauses and deaths of the recorder's thread, done alike in both recorders. */
function run(rigs: readonly RecorderRig[], random: Random, channels: 1 | 2): void {
  const lost: [channel: number, at: number][] = [];
  const frames = 1 + Math.floor(random() * 60);
  for (const r of rigs) r.open(streamInfo({ channels }));
  for (let n = 0, at = 0; n < frames; n++, at += 160) {
    for (let channel = 0; channel < channels; channel++) {
      const isLost = random() < 0.1;
      if (isLost) lost.push([channel, at]);
      const flags = isLost ? FLAG.LOST | FLAG.CONCEALED : random() < 0.3 ? FLAG.SILENT : 0;
      const pcm = isLost ? new Int16Array(160) : tone(at, 160, channel);
      for (const r of rigs) r.frame(0, channel, at, pcm, flags);
    }
    const what = random();
    const workUs = random() < 0.2 ? 800_000 : 20_000;
    const late = what < 0.1 ? lost.shift() : undefined;
    const pause = what > 0.1 && what < 0.13 ? 160 * Math.ceil(random() * 20) : 0;
    for (const r of rigs) {
      if (late !== undefined) r.correction(0, late[0], late[1], tone(late[1], 160, late[0]));
      for (let channel = 0; pause > 0 && channel < channels; channel++) {
        r.mark(0, channel, at + 160, pause, MARK.PAUSED);
      }
      r.work(workUs);
      if (what > 0.9) r.crash();
    }
    at += pause;
  }
}

/** Ends as a process that is killed: perhaps within its last write. */
async function kill(r: RecorderRig, random: Random): Promise<void> {
  const path = join(r.outDir, ID, 'audio.wav.enc');
  const checkpoint = join(r.outDir, ID, 'session.json.partial');
  writeFileSync(checkpoint, JSON.stringify({ ...JSON.parse(readFileSync(checkpoint, 'utf8')), writer: DEAD }));
  if (random() < 0.4) {
    const source = new EncryptedSource(path);
    source.close();
    const last = source.table.chunks.at(-1);
    if (last !== undefined) {
      truncateSync(path, last.offset + Math.floor(random() * (source.table.end - last.offset)));
    }
  }
  const report = await repairRecordings(r.outDir);
  expect(report).toMatchObject({ repaired: [ID], failed: [] });
  expect((await repairRecordings(r.outDir)).repaired).toEqual([]);
}

describe('recordings that nobody has touched', () => {
  it(`open without a false alarm, ${RUNS} of them, with deaths of the thread and kills`, {
    timeout: 3_600_000,
  }, async () => {
    const random = mulberry32(SEED);
    const counts = { finished: 0, killed: 0, cut: 0 };
    for (let n = 0; n < RUNS; n++) {
      const channels = random() < 0.7 ? 1 : 2;
      const rigs = [new RecorderRig(), new RecorderRig({ options: encryptFor([owner], 4, n % 2 === 0) })] as const;
      const [plain, encrypted] = rigs;
      const about = `run ${n} of seed ${SEED}`;
      run(rigs, random, channels);
      if (random() < 0.5) {
        for (const r of rigs) {
          r.closeStream(0);
          r.work();
        }
        const result = openWith(join(encrypted.outDir, ID), owner);
        expect(isWhole(result), about).toBe(true);
        expect(result.content.equals(readFileSync(join(plain.outDir, ID, 'audio.wav'))), about).toBe(true);
        counts.finished++;
      } else if (encrypted.folders().length > 0) {
        await kill(encrypted, random);
        const { content, opened, refused } = openWith(join(encrypted.outDir, ID), owner);
        // Without its header there is no audio.
        if (opened?.damage?.message !== 'it has no WAV header') {
          expect({ opened, refused }, about).toEqual({
            opened: { damage: undefined, isSealed: false },
            refused: undefined,
          });
        }
        const written = readFileSync(join(plain.outDir, ID, 'audio.wav')).subarray(44);
        const audio = content.subarray(44);
        if (audio.equals(written)) counts.killed++;
        else counts.cut++;
        const { spans, encryption } = encrypted.manifest(ID);
        expect(encryption, about).toEqual({ version: 1, sealed: false });
        expect(Math.max(0, ...spans.map(({ endMs }) => endMs)), about).toBe(audio.length / (16 * channels));
      }
      for (const r of rigs) {
        r.recorder.close();
        r.remove();
      }
    }
    process.stdout.write(`honest runs, seed ${SEED}: ${JSON.stringify(counts)}, no false alarm\n`);
    expect(counts.finished).toBeGreaterThan(RUNS / 4);
    expect(counts.killed).toBeGreaterThan(RUNS / 20);
  });
});
