import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { repairRecordings } from '../../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../../support/frames.js';
import { encryptFor, isWhole, openWith, type Person, person } from '../../../support/recorder/opening.js';
import { RecorderRig, readWav, tone } from '../../../support/recorder/recorder-rig.js';

const ID = streamInfo().interactionId;
let owner: Person;
beforeAll(async () => {
  owner = await person();
});

/** Records, with the death of the thread after so many turns of the conversion. */
function record(r: RecorderRig, crashes: number): void {
  r.open(streamInfo());
  for (let at = 0; at < 160_000; at += 160) {
    r.frame(0, 0, at, tone(at, 160));
    r.work(20_000);
  }
  r.closeStream(0);
  for (let n = 0; n < crashes; n++) {
    r.recorder.doWork(r.clock.nowUs());
    r.crash();
  }
  r.work();
}

describe('an encrypted recording as FLAC', () => {
  it.each([0, 1, 3])('is the FLAC file of a plain one, and leaves no WAV, with %i deaths of the thread', (crashes) => {
    const plain = new RecorderRig({ options: { format: 'flac' } });
    const r = new RecorderRig({ options: { format: 'flac', ...encryptFor([owner]) } });
    record(plain, 0);
    record(r, crashes);
    expect(readdirSync(join(r.outDir, ID)).sort()).toEqual(['audio.flac.enc', 'session.json']);
    expect(r.manifest(ID)).toMatchObject({ file: 'audio.flac.enc', encryption: { sealed: true } });
    const result = openWith(join(r.outDir, ID), owner);
    expect(isWhole(result)).toBe(true);
    expect(result.content).toEqual(readFileSync(join(plain.outDir, ID, 'audio.flac')));
    for (const one of [plain, r]) {
      one.recorder.close();
      one.remove();
    }
  });

  it('is opened in part as WAV, up to the first chunk that was changed', () => {
    const r = new RecorderRig({ options: { format: 'flac', ...encryptFor([owner]) } });
    record(r, 0);
    const folder = join(r.outDir, ID);
    const result = openWith(folder, owner, { fromSeconds: 9.5, toSeconds: 10.25 });
    expect(readWav(result.content)).toMatchObject({ sampleRate: 8000, channels: 1 });
    expect(readWav(result.content).samples).toEqual(tone(76_000, 6_000));
    expect(result.opened).toEqual({ damage: undefined, isSealed: true });
    expect(readWav(openWith(folder, owner, { toSeconds: 0.1 }).content).samples).toEqual(tone(0, 800));
    expect(readWav(openWith(folder, owner, { fromSeconds: 30 }).content).samples).toHaveLength(0);
    const path = join(folder, 'audio.flac.enc');
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(path, bytes);
    const { content, opened } = openWith(folder, owner, { fromSeconds: 0.5 });
    expect(opened?.damage?.message).toMatch(/^chunk \d+ is not as it was written$/);
    const all = Buffer.from(tone(4_000, 156_000).buffer);
    const written = content.subarray(44);
    expect(written.length).toBeLessThan(all.length);
    expect(written.equals(all.subarray(0, written.length))).toBe(true);
    r.recorder.close();
    r.remove();
  });

  it('remains WAV when the process is killed in the middle of the conversion, and nothing of that is left', async () => {
    const r = new RecorderRig({ options: encryptFor([owner]) });
    record(r, 0);
    // As the conversion finds it: complete, with a checkpoint that has the end of the call.
    const folder = join(r.outDir, ID);
    const writer = { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' };
    const checkpoint = { ...r.manifest(ID), notConverted: 'pending', writer };
    writeFileSync(join(folder, 'session.json.partial'), JSON.stringify(checkpoint));
    rmSync(join(folder, 'session.json'));
    writeFileSync(join(folder, 'audio.flac.enc'), 'begun');
    expect(await repairRecordings(r.outDir)).toMatchObject({ repaired: [ID], failed: [] });
    expect(readdirSync(folder).sort()).toEqual(['audio.wav.enc', 'session.json']);
    expect(r.manifest(ID)).toMatchObject({
      ...{ file: 'audio.wav.enc', encryption: { sealed: true }, notConverted: 'noKey' },
    });
    expect(isWhole(openWith(folder, owner))).toBe(true);
    r.recorder.close();
    r.remove();
  });

  it('remains WAV when the process is killed during the call, or in the parts before its format changed, and says why', async () => {
    const r = new RecorderRig({ options: { format: 'flac', ...encryptFor([owner]) } });
    r.open(streamInfo());
    for (let at = 0; at < 16_000; at += 160) r.frame(0, 0, at, tone(at, 160));
    r.work(2_000_000);
    const killed = join(r.outDir, 'killed');
    cpSync(join(r.outDir, ID), join(killed, ID), { recursive: true });
    const checkpoint = JSON.parse(readFileSync(join(killed, ID, 'session.json.partial'), 'utf8'));
    const writer = { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' };
    writeFileSync(join(killed, ID, 'session.json.partial'), JSON.stringify({ ...checkpoint, writer }));
    expect(await repairRecordings(killed)).toMatchObject({ repaired: [ID], failed: [] });
    expect(readdirSync(join(killed, ID)).sort()).toEqual(['audio.wav.enc', 'session.json']);
    expect(JSON.parse(readFileSync(join(killed, ID, 'session.json'), 'utf8'))).toMatchObject({
      ...{ endReason: 'interrupted', notConverted: 'noKey' },
    });
    r.closeStream(0, { endReason: 'formatChanged' });
    const segment = { number: 2, firstStartedAtMs: streamInfo().startedAtMs, startMs: 2000 };
    r.open(streamInfo({ stream: 1, sampleRate: 16_000, clockRate: 16_000, codec: 'l16', segment }));
    for (let at = 0; at < 16_000; at += 160) r.frame(1, 0, at, tone(at, 160));
    r.work(2_000_000);
    r.closeStream(1);
    r.work();
    const { segments, notConverted } = r.manifest(ID);
    expect(segments?.map(({ file }) => file)).toEqual(['audio.wav.enc', 'audio-2.flac.enc']);
    expect(notConverted).toBe('noKey');
    r.recorder.close();
    r.remove();
  });
});
