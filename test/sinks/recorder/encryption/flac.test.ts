import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { repairRecordings } from '../../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../../support/frames.js';
import { encryptFor, isWhole, openWith, type Person, person } from '../../../support/recorder/opening.js';
import { RecorderRig, tone } from '../../../support/recorder/recorder-rig.js';

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
    expect(openWith(join(r.outDir, ID), owner, { fromSeconds: 1 }).refused).toContain('Only a WAV file');
    for (const one of [plain, r]) {
      one.recorder.close();
      one.remove();
    }
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
    expect(r.manifest(ID)).toMatchObject({ file: 'audio.wav.enc', encryption: { sealed: true } });
    expect(isWhole(openWith(folder, owner))).toBe(true);
    r.recorder.close();
    r.remove();
  });
});
