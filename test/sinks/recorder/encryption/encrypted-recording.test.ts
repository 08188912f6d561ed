import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Decrypter } from 'age-encryption';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FLAG, MARK } from '../../../../src/ring/layout.js';
import { readHead } from '../../../../src/sinks/recorder/encryption/chunk-format.js';
import { streamInfo } from '../../../support/frames.js';
import { encryptFor, isWhole, openWith, type Person, person } from '../../../support/recorder/opening.js';
import { RecorderRig, readWav, tone } from '../../../support/recorder/recorder-rig.js';

const ID = streamInfo().interactionId;
let owner: Person;
let auditor: Person;
let stranger: Person;
beforeAll(async () => {
  [owner, auditor, stranger] = await Promise.all([person(), person(), person()]);
});

const rigs: RecorderRig[] = [];
function rig(people: readonly Person[] = [owner, auditor], options = {}): RecorderRig {
  const made = new RecorderRig({ options: { ...encryptFor(people), ...options } });
  rigs.push(made);
  return made;
}
afterEach(() => {
  for (const made of rigs.splice(0)) {
    made.recorder.close();
    made.remove();
  }
});

function record(r: RecorderRig, samples: number, stream = 0): void {
  for (let at = 0; at < samples; at += 160) {
    r.frame(stream, 0, at, tone(at, 160));
    r.work(20_000);
  }
}

const audioOf = (r: RecorderRig, id = ID) => join(r.outDir, id, 'audio.wav.enc');

describe('an encrypted recording', () => {
  it('opens for each recipient with the very bytes of a plain one, and for nobody else', () => {
    const plain = new RecorderRig();
    const r = rig();
    for (const one of [plain, r]) {
      one.open(streamInfo());
      record(one, 80_000);
      one.closeStream(0);
      one.work();
    }
    const expected = readFileSync(join(plain.outDir, ID, 'audio.wav'));
    for (const who of [owner, auditor]) {
      const result = openWith(join(r.outDir, ID), who);
      expect(result.content).toEqual(expected);
      expect(isWhole(result)).toBe(true);
    }
    expect(openWith(join(r.outDir, ID), stranger)).toMatchObject({ refused: expect.stringContaining('None of these') });
    const { encryption, file, ...manifest } = r.manifest(ID);
    expect({ encryption, file }).toEqual({ encryption: { version: 1, sealed: true }, file: 'audio.wav.enc' });
    expect(manifest).toEqual(plain.manifest(ID));
    plain.remove();
  });

  it('has its key in it as a file of age, which another implementation opens, and no sample in clear text', async () => {
    const r = rig();
    r.open(streamInfo());
    record(r, 16_000);
    r.closeStream(0);
    r.work();
    const bytes = readFileSync(audioOf(r));
    const head = readHead((position, length) => bytes.subarray(position, position + length));
    const decrypter = new Decrypter();
    decrypter.addIdentity(auditor.secret);
    expect(await decrypter.decrypt(head.age)).toHaveLength(32);
    const part = Buffer.from(tone(3200, 8).buffer);
    expect(bytes.includes(part)).toBe(false);
    expect(statSync(audioOf(r)).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(r.outDir, ID)).sort()).toEqual(['audio.wav.enc', 'session.json']);
  });

  it('has a key of its own, which is forgotten when the recording is finished', () => {
    const { encryption } = encryptFor([owner]);
    const r = rig([owner], { encryption });
    const keys = new Uint8Array(encryption.keys);
    for (const stream of [0, 1]) r.open(streamInfo({ stream, interactionId: `call-${stream}` }));
    for (const stream of [0, 1]) record(r, 8000, stream);
    r.work(2_000_000);
    const used = [0, 1].map((n) => Buffer.from(keys.slice(3 * 192 * n + 16, 192 * n + 48)).toString('hex'));
    expect(new Set([...used, '00'.repeat(32)]).size).toBe(3);
    r.closeStream(0);
    r.work();
    const left = Buffer.from(keys.slice()).toString('hex');
    const [one, other] = [0, 1].map((n) => left.includes(used[n] as string));
    expect([one, other].sort()).toEqual([false, true]);
    r.closeStream(1);
    r.work();
    expect(keys.every((byte) => byte === 0)).toBe(true);
  });

  it('is read in parts: a stretch of seconds needs only its own chunks', () => {
    const r = rig();
    r.open(streamInfo());
    record(r, 160_000);
    r.closeStream(0);
    r.work();
    const { content, opened } = openWith(audioOf(r), owner, { fromSeconds: 9.5, toSeconds: 10.25 });
    expect(readWav(content).samples).toEqual(tone(76_000, 6000));
    expect(opened).toEqual({ damage: undefined, isSealed: true });
    expect(readWav(openWith(audioOf(r), owner, { fromSeconds: 19.9 }).content).samples).toEqual(tone(159_200, 800));
    expect(readWav(openWith(audioOf(r), owner, { fromSeconds: 30 }).content).samples).toHaveLength(0);
  });

  it('takes late packets of both channels in their place, also over the death of the thread', () => {
    const r = rig();
    r.open(streamInfo({ channels: 2 }));
    for (let at = 0; at < 32_000; at += 160) {
      for (const channel of [0, 1]) {
        if (at === 8000 && channel === 1) r.frame(0, 1, at, new Int16Array(160), FLAG.LOST | FLAG.CONCEALED);
        else r.frame(0, channel, at, tone(at, 160, channel));
      }
      r.work(20_000);
      if (at === 16_000) r.crash();
    }
    r.correction(0, 1, 8000, tone(8000, 160, 1));
    r.work(2_000_000);
    r.closeStream(0);
    r.work();
    const { samples } = readWav(openWith(join(r.outDir, ID), owner).content);
    expect(samples.filter((_, i) => i % 2 === 0)).toEqual(tone(0, 32_000));
    expect(samples.filter((_, i) => i % 2 === 1)).toEqual(tone(0, 32_000, 1));
    expect(r.manifest(ID)).toMatchObject({ packetsRepaired: 1, encryption: { sealed: true } });
  });

  it('has paused spans as zeros', () => {
    const r = rig();
    r.open(streamInfo());
    record(r, 8000);
    r.mark(0, 0, 8000, 8000, MARK.PAUSED);
    r.frame(0, 0, 16_000, tone(16_000, 160));
    r.closeStream(0);
    r.work();
    const { samples } = readWav(openWith(join(r.outDir, ID), owner).content);
    expect(samples).toEqual(Int16Array.of(...tone(0, 8000), ...new Int16Array(8000), ...tone(16_000, 160)));
    expect(existsSync(join(r.outDir, ID, 'audio.wav'))).toBe(false);
  });
});
