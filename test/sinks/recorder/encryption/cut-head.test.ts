import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { HEAD } from '../../../../src/sinks/recorder/encryption/chunk-format.js';
import { repairRecordings } from '../../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../../support/frames.js';
import { encryptFor, person } from '../../../support/recorder/opening.js';
import { RecorderRig, tone } from '../../../support/recorder/recorder-rig.js';

const ID = streamInfo().interactionId;
const FILE = 'audio.wav.enc';
const LONG_AGO = new Date(1_700_000_000_000);

it('a kill within the head of an encrypted file leaves nothing to keep, and keeps no repair from being complete', async () => {
  const rig = new RecorderRig({ options: encryptFor([await person()], 4) });
  rig.open(streamInfo());
  rig.frame(0, 0, 0, tone(0, 160));
  rig.closeStream(0);
  rig.work();
  const folder = join(rig.outDir, ID);
  const whole = readFileSync(join(folder, FILE));
  const length = HEAD.BYTES + whole.readUInt32LE(HEAD.DESCRIPTION_LENGTH) + whole.readUInt32LE(HEAD.AGE_LENGTH);
  const leave = (bytes: Buffer): void => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    writeFileSync(join(folder, FILE), bytes);
    utimesSync(join(folder, FILE), LONG_AGO, LONG_AGO);
  };
  for (let bytes = 0; bytes < length; bytes++) {
    leave(whole.subarray(0, bytes));
    expect(await repairRecordings(rig.outDir), `${bytes} bytes`).toMatchObject({ repaired: [], failed: [], live: [] });
    expect(existsSync(folder), `${bytes} bytes`).toBe(false);
  }
  leave(whole.subarray(0, length));
  expect((await repairRecordings(rig.outDir)).repaired).toEqual([ID]);
  expect(existsSync(join(folder, FILE))).toBe(true);
  // A head that is damaged, and not cut off, is kept: somebody may know more.
  leave(Buffer.concat([Buffer.from('other'), whole.subarray(5, 40)]));
  expect((await repairRecordings(rig.outDir)).failed).toHaveLength(1);
  expect(existsSync(join(folder, FILE))).toBe(true);
  rig.remove();
});
