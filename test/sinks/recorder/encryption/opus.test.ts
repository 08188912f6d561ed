import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isConcealment, isSilencePacket } from '../../../../src/audio/ogg/opus.js';
import { EncryptedSource } from '../../../../src/sinks/recorder/encryption/encrypted-reader.js';
import { readPcmFile } from '../../../../src/sinks/recorder/files/file-source.js';
import { readCheckpoint, writeCheckpoint } from '../../../../src/sinks/recorder/files/manifest-file.js';
import { repairRecordings } from '../../../../src/sinks/recorder/repair.js';
import { CaptureRig, type SentPacket } from '../../../support/engine/capture-rig.js';
import { type OpusPacket, opusStream } from '../../../support/engine/opus-loss.js';
import { below, mulberry32 } from '../../../support/random.js';
import { encryptFor, isWhole, openWith, type Person, person } from '../../../support/recorder/opening.js';
import { readOgg } from '../../../support/recorder/opus-programs.js';
import { readWav } from '../../../support/recorder/recorder-rig.js';

const ID = 'call';
const RATE = 48_000;
const VOICE = await opusStream(mulberry32(3), 150, { sampleRate: 48_000, ms: [20] });
const FILES = ['audio-external.opus.enc', 'audio-internal.opus.enc'];
const SEED = Number(process.env['TRUNKLINE_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const RUNS = process.env['TRUNKLINE_ENCRYPTION'] === 'wide' ? 200 : 6;

let owner: Person;
beforeAll(async () => {
  owner = await person();
});
const rigs: CaptureRig[] = [];
afterEach(() => {
  for (const rig of rigs.splice(0)) rig.remove();
});

function makeRig(isEncrypted: boolean): CaptureRig {
  const rig = new CaptureRig('js', { format: 'opus', ...(isEncrypted && encryptFor([owner], 1)) });
  rigs.push(rig);
  return rig;
}

/** One packet in seven is lost; of these every second one comes a second and a half late. */
function arrivals(packets: readonly OpusPacket[], channel: 0 | 1 = 0): SentPacket[] {
  const sent = packets.flatMap(({ sequence, position, payload }, i) => {
    if (i % 14 === 5) return [];
    const arrivalUs = 2_000_000 + (position * 1e6) / RATE + (i % 14 === 12 ? 1_500_000 : 0);
    return [{ channel, sequence, timestamp: position, arrivalUs, payload }];
  });
  return sent.toSorted((a, b) => a.arrivalUs - b.arrivalUs);
}

/** @param crashEvery packets between two deaths of the recorder's thread. */
function play(rig: CaptureRig, sent: readonly SentPacket[], channels: 1 | 2, crashEvery = 0): CaptureRig {
  const stream = rig.open(ID, { codec: 'opus', clockRate: RATE, sampleRate: RATE, channels });
  for (const [n, packet] of sent.toSorted((a, b) => a.arrivalUs - b.arrivalUs).entries()) {
    rig.take(stream, packet);
    if (crashEvery > 0 && n % crashEvery === crashEvery - 1) rig.crashRecorder();
  }
  rig.advanceTo(rig.clock.nowUs() + 1_000_000);
  rig.end(stream);
  rig.work();
  return rig;
}

const received = (packets: readonly Buffer[]) =>
  packets.filter((one) => !isConcealment(one, 0, one.length) && !isSilencePacket(one, 0, one.length));

/** Whether all of `some` are in `all`, in that order. */
function isWithin(some: readonly Buffer[], all: readonly Buffer[]): boolean {
  let next = 0;
  for (const one of all) if (some[next]?.equals(one)) next++;
  return next === some.length;
}

describe('an encrypted recording of Opus packets', () => {
  it.each([0, 17])(
    'has the bytes of a plain one, with its late packets, also over deaths of the thread (%i)',
    (every) => {
      const plain = play(makeRig(false), arrivals(VOICE), 1);
      const rig = play(makeRig(true), arrivals(VOICE), 1, every);
      const folder = join(rig.outDir, ID);
      expect(readdirSync(folder).sort()).toEqual(['audio.opus.enc', 'session.json']);
      expect(rig.manifest(ID)).toMatchObject({ file: 'audio.opus.enc', encryption: { sealed: true } });
      expect(rig.manifest(ID).packetsRepaired).toBeGreaterThan(5);
      const result = openWith(folder, owner);
      expect(isWhole(result)).toBe(true);
      const expected = readFileSync(join(plain.outDir, ID, 'audio.opus'));
      if (every === 0) expect(result.content.equals(expected)).toBe(true);
      // Pages end elsewhere where a thread has died.
      expect(readOgg(result.content).packets).toEqual(readOgg(expected).packets);
      const stranger = readFileSync(join(folder, 'audio.opus.enc'));
      for (const { payload } of VOICE) expect(stranger.includes(Buffer.from(payload))).toBe(false);
    },
  );

  it('has a file for each of two channels; exchanged ones are detected', () => {
    const sent = [...arrivals(VOICE), ...arrivals(VOICE.slice(0, 90), 1)];
    const plain = play(makeRig(false), sent, 2);
    const rig = play(makeRig(true), sent, 2);
    const folder = join(rig.outDir, ID);
    expect(readdirSync(folder).sort()).toEqual([...FILES, 'session.json']);
    expect(rig.manifest(ID)).toMatchObject({ file: FILES[0], channelFiles: FILES });
    for (const [number, file] of FILES.entries()) {
      const result = openWith(folder, owner, {}, number);
      expect(isWhole(result)).toBe(true);
      expect(result.content.equals(readFileSync(join(plain.outDir, ID, file.replace('.enc', ''))))).toBe(true);
    }
    for (const [number, file] of FILES.entries()) {
      const plainReader = readPcmFile(join(plain.outDir, ID, file.replace('.enc', '')));
      const expected = new Int16Array(0.75 * plainReader.sampleRate);
      plainReader.seek(0.5 * plainReader.sampleRate);
      expect(plainReader.read(expected)).toBe(expected.length);
      plainReader.close();
      const part = openWith(folder, owner, { fromSeconds: 0.5, toSeconds: 1.25 }, number);
      expect(readWav(part.content).samples).toEqual(expected);
      expect(isWhole(part)).toBe(true);
    }
    const [external, internal] = FILES.map((file) => join(folder, file)) as [string, string];
    renameSync(external, `${external}.away`);
    renameSync(internal, external);
    renameSync(`${external}.away`, internal);
    expect(openWith(folder, owner).refused).toContain('It was recorded as audio-internal.opus.enc');
  });

  it(`opens after a kill with all whole pages and the late packets, and an end (seed ${SEED})`, async () => {
    const random = mulberry32(SEED);
    for (let run = 0; run < RUNS; run++) {
      const rig = makeRig(true);
      const stream = rig.open(ID, { codec: 'opus', clockRate: RATE, sampleRate: RATE, channels: 1 });
      const sent = arrivals(VOICE);
      for (const packet of sent.slice(0, 90 + below(random, sent.length - 90))) rig.take(stream, packet);
      rig.work();
      const dir = mkdtempSync(join(tmpdir(), 'trunkline-killed-'));
      try {
        cpSync(rig.outDir, dir, { recursive: true });
        const folder = join(dir, ID);
        const checkpoint = readCheckpoint(folder);
        const writer = { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' };
        if (checkpoint !== undefined) writeCheckpoint(folder, { ...checkpoint, writer }, 0o600);
        const path = join(folder, 'audio.opus.enc');
        const source = new EncryptedSource(path);
        source.close();
        // Perhaps within its last write.
        const last = source.table.chunks.at(-1)?.offset ?? source.table.end;
        truncateSync(path, last + below(random, source.table.end - last + 1));
        const about = `run ${run} of seed ${SEED}`;
        expect(await repairRecordings(dir), about).toMatchObject({ repaired: [ID], failed: [] });
        expect(readdirSync(folder).sort(), about).toEqual(['audio.late.enc', 'audio.opus.enc', 'session.json']);
        const { content, opened, refused } = openWith(folder, owner);
        expect({ opened, refused }, about).toEqual({
          opened: { damage: undefined, isSealed: false },
          refused: undefined,
        });
        const { packets, granule, bytes } = readOgg(content);
        expect(bytes, about).toBe(content.length);
        const all = VOICE.map(({ payload }) => Buffer.from(payload));
        const found = received(packets);
        expect(isWithin(found, all), about).toBe(true);
        const late = all.filter((_, i) => i % 14 === 12);
        expect(
          found.some((one) => late.some((other) => other.equals(one))),
          about,
        ).toBe(true);
        const manifest = JSON.parse(readFileSync(join(folder, 'session.json'), 'utf8'));
        expect(manifest).toMatchObject({ endReason: 'interrupted', encryption: { sealed: false } });
        const endMs = Math.max(0, ...manifest.spans.map((span: { endMs: number }) => span.endMs));
        expect(Math.abs(endMs - granule / 48), about).toBeLessThan(1);
        const part = openWith(folder, owner, { fromSeconds: 0 });
        expect(part.opened, about).toEqual({ damage: undefined, isSealed: false });
        const wav = readWav(part.content);
        expect(Math.abs((1000 * wav.samples.length) / wav.sampleRate - endMs), about).toBeLessThan(1);
        // Late packets that were changed are damage.
        const lateFile = join(folder, 'audio.late.enc');
        truncateSync(lateFile, readFileSync(lateFile).length - 1);
        expect(openWith(folder, owner).opened?.damage?.message).toContain('its late packets');
        expect((await repairRecordings(dir)).repaired).toEqual([]);
      } finally {
        rmSync(dir, { recursive: true });
      }
    }
  });
});
