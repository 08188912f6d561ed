import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fileAccess, OWNER_ONLY } from '../../../src/sinks/recorder/files/folder.js';
import { readUnfinished, UNFINISHED_FOLDER, UnfinishedIndex } from '../../../src/sinks/recorder/files/unfinished.js';
import { thisWriter } from '../../../src/sinks/recorder/files/writer.js';
import { repairRecordings, repairUnfinished } from '../../../src/sinks/recorder/repair.js';
import * as repairing from '../../../src/sinks/recorder/repair-recording.js';
import { streamInfo } from '../../support/frames.js';
import { RecorderRig, tone } from '../../support/recorder/recorder-rig.js';

const rigs: RecorderRig[] = [];
function rig(setup?: ConstructorParameters<typeof RecorderRig>[0]): RecorderRig {
  const made = new RecorderRig(setup);
  rigs.push(made);
  return made;
}
afterEach(() => {
  for (const made of rigs.splice(0)) {
    made.recorder.close();
    made.remove();
  }
});

const DEAD_PID = 2 ** 22 + 1;
const indexFolder = (r: RecorderRig) => join(r.outDir, UNFINISHED_FOLDER);

function record(r: RecorderRig, stream: number, interactionId: string): void {
  r.open(streamInfo({ stream, interactionId }));
  for (let at = 0; at < 4000; at += 160) r.frame(stream, 0, at, tone(at, 160));
  r.work();
  r.work(800_000);
}

/** Makes everything in the folder look as if its writer had been killed. */
function kill(r: RecorderRig): void {
  const files = [
    ...readdirSync(indexFolder(r))
      .filter((name) => name.endsWith('.log'))
      .map((name) => join(indexFolder(r), name)),
    ...r.folders().map((name) => join(r.outDir, name, 'session.json.partial')),
  ];
  for (const file of files) {
    try {
      writeFileSync(file, readFileSync(file, 'utf8').replace(/"pid":(\s*)\d+/, `"pid":$1${DEAD_PID}`));
    } catch {
      // A finished recording has no checkpoint.
    }
  }
}

/** Folders that a repair looks at. */
async function examined(r: RecorderRig, repair: typeof repairUnfinished): Promise<string[]> {
  const looks = vi.spyOn(repairing, 'repairRecording');
  await repair(r.outDir, { clock: r.clock });
  const folders = looks.mock.calls.map(([folder]) => folder.slice(r.outDir.length + 1));
  looks.mockRestore();
  return folders.sort();
}

describe('the index of unfinished recordings', () => {
  it('lets a repair look at those only, however many finished ones there are', async () => {
    const r = rig();
    await repairUnfinished(r.outDir, { clock: r.clock });
    for (const id of ['done-1', 'done-2', 'done-3']) {
      record(r, 0, id);
      r.closeStream(0);
      r.work();
    }
    record(r, 1, 'open-1');
    record(r, 2, 'open-2');
    kill(r);
    const report = await repairUnfinished(r.outDir, { clock: r.clock });
    expect(report).toEqual({ recordings: 2, repaired: ['open-1', 'open-2'], live: [], failed: [] });
    expect(r.wav('open-1').samples).toEqual(tone(0, 4000));
    expect(r.manifest('open-2').endReason).toBe('interrupted');
    // What is repaired is no longer listed.
    expect(readdirSync(indexFolder(r))).toEqual(['complete']);
    expect(await examined(r, repairUnfinished)).toEqual([]);
    expect(await examined(r, repairRecordings)).toContain('done-1');
  });

  it('is made by one look at every folder where there was none, from an older version', async () => {
    const r = rig();
    record(r, 0, 'old');
    kill(r);
    rmSync(indexFolder(r), { recursive: true });
    expect((await repairUnfinished(r.outDir, { clock: r.clock })).repaired).toEqual(['old']);
    expect(await examined(r, repairUnfinished)).toEqual([]);
  });

  it('leaves a live recorder alone, and forgets one that has closed with nothing open', async () => {
    const r = rig();
    await repairUnfinished(r.outDir, { clock: r.clock });
    record(r, 0, 'live');
    expect(await examined(r, repairUnfinished)).toEqual([]);
    r.closeStream(0);
    r.work();
    r.recorder.close();
    expect(readdirSync(indexFolder(r))).toEqual(['complete']);
  });

  it('keeps what could not be repaired for the next time, and outlives lines that a kill has torn', async () => {
    const r = rig();
    await repairUnfinished(r.outDir, { clock: r.clock });
    record(r, 0, 'odd');
    record(r, 1, 'good');
    kill(r);
    const [log = ''] = readdirSync(indexFolder(r)).filter((name) => name.endsWith('.log'));
    appendFileSync(join(indexFolder(r), log), '+../../etc\n+never-made\n-goo');
    writeFileSync(join(r.outDir, 'odd', 'session.json'), '{"mine":true}');
    const report = await repairUnfinished(r.outDir, { clock: r.clock });
    expect(report).toMatchObject({ repaired: ['good'], failed: [{ folder: 'odd' }] });
    expect(await examined(r, repairUnfinished)).toEqual(['good', 'odd']);
  });

  it('does not grow with the number of recordings', async () => {
    const r = rig();
    const name = 'x'.repeat(80);
    for (let n = 0; n < 40; n++) {
      record(r, 0, `${name.slice(0, 70)}-${n}`);
      r.closeStream(0);
      r.work();
    }
    record(r, 1, 'open');
    const size = () => {
      const [log = ''] = readdirSync(indexFolder(r)).filter((file) => file.endsWith('.log'));
      return statSync(join(indexFolder(r), log)).size;
    };
    expect(size()).toBeLessThan(10_000);
    const index = new UnfinishedIndex(r.outDir, thisWriter(), OWNER_ONLY, 7);
    index.add('kept');
    for (let n = 0; n < 20_000; n++) {
      index.add(`${name}${n}`);
      index.remove(`${name}${n}`);
    }
    const [log = ''] = readdirSync(indexFolder(r)).filter((file) => file.endsWith('-7.log'));
    expect(statSync(join(indexFolder(r), log)).size).toBeLessThan(1_100_000);
    writeFileSync(
      join(indexFolder(r), log),
      readFileSync(join(indexFolder(r), log), 'utf8').replace(/"pid":\d+/, `"pid":${DEAD_PID}`),
    );
    expect((await readUnfinished(r.outDir)).folders).toEqual(['kept']);
    index.close();
  });

  it('passes over half a line, after a kill: neither is it the end of another recording', async () => {
    const r = rig();
    const index = join(indexFolder(r), 'host-1-2-3.log');
    mkdirSync(indexFolder(r));
    for (const half of ['=call-1', '-call-1', '=call-10'.slice(0, -1), '+call-2']) {
      writeFileSync(index, `{"host":"${hostname()}","pid":${DEAD_PID},"startTicks":"1"}\n+call-1\n${half}`);
      expect((await readUnfinished(r.outDir)).folders, half).toEqual(['call-1']);
    }
  });

  it('reports each repaired recording with its length, and stops when it is told to', async () => {
    const r = rig();
    record(r, 0, 'a');
    record(r, 1, 'b');
    kill(r);
    const repaired: unknown[] = [];
    await repairRecordings(r.outDir, { clock: r.clock, onRepaired: (one) => repaired.push(one) });
    expect(repaired).toHaveLength(2);
    expect(repaired).toContainEqual({ folder: 'a', interactionId: 'a', durationMs: 500 });
    const stopped = await repairRecordings(r.outDir, { clock: r.clock, signal: AbortSignal.abort() });
    expect(stopped.recordings).toBe(0);
  });
});

describe('permissions', () => {
  const modes = (r: RecorderRig, folder: string) => {
    const path = join(r.outDir, folder);
    const files = readdirSync(path).map((name) => (statSync(join(path, name)).mode & 0o777).toString(8));
    return [(statSync(path).mode & 0o777).toString(8), [...new Set(files)].join()];
  };

  it('are those of the owner alone', () => {
    const r = rig();
    record(r, 0, 'open');
    record(r, 1, 'done');
    r.closeStream(1);
    r.work();
    expect(modes(r, 'open')).toEqual(['700', '600']);
    expect(modes(r, 'done')).toEqual(['700', '600']);
    expect(modes(r, UNFINISHED_FOLDER)).toEqual(['700', '600']);
  });

  it('may let a group read, and folders follow files', () => {
    const r = rig({ options: { access: fileAccess(0o640) } });
    record(r, 0, 'call');
    r.closeStream(0);
    r.work();
    expect(modes(r, 'call')).toEqual(['750', '640']);
    expect(fileAccess(0o666)).toEqual({ fileMode: 0o666, folderMode: 0o777 & (0o666 | 0o111) });
  });

  it('of an output folder that the recorder makes are the same', () => {
    const base = mkdtempSync(join(tmpdir(), 'trunkline-made-'));
    const r = rig({ options: { outDir: join(base, 'deep', 'out') } });
    record(r, 0, 'call');
    expect((statSync(join(base, 'deep', 'out')).mode & 0o777).toString(8)).toBe('700');
    rmSync(base, { recursive: true });
  });
});

describe('names that are taken', () => {
  it('never run out: the 10,001st recording of one id is made, and found at once', () => {
    const r = rig();
    // A file in the place of a folder takes its name as well, and is made faster.
    for (let n = 1; n <= 10_000; n++) writeFileSync(join(r.outDir, n === 1 ? 'call' : `call-${n}`), '');
    record(r, 0, 'call');
    r.closeStream(0);
    r.work();
    expect(r.manifest('call-10001').endReason).toBe('ended');
    expect(r.status.counters()).toMatchObject({ writeErrors: 0, recordingsFinished: 1 });
  });

  it('are tried in order, also after one of them was removed', () => {
    const r = rig();
    for (let n = 0; n < 4; n++) {
      record(r, 0, 'call');
      r.closeStream(0);
      r.work();
    }
    rmSync(join(r.outDir, 'call'), { recursive: true });
    record(r, 0, 'call');
    r.closeStream(0);
    r.work();
    expect(r.folders()).toEqual(['call', 'call-2', 'call-3', 'call-4']);
  });
});

describe('symbolic links in the output folder', () => {
  it('are not entered, for a folder, and not followed, for any file of a recording', async () => {
    const r = rig();
    const elsewhere = mkdtempSync(join(tmpdir(), 'trunkline-elsewhere-'));
    writeFileSync(join(elsewhere, 'precious'), 'precious');
    symlinkSync(elsewhere, join(r.outDir, 'call'));
    record(r, 0, 'call');
    // The folder itself is real, and another process puts links into it.
    mkdirSync(join(r.outDir, 'second'));
    symlinkSync(join(elsewhere, 'precious'), join(r.outDir, 'second', 'session.json.partial'));
    record(r, 1, 'second');
    mkdirSync(join(r.outDir, 'third'));
    symlinkSync(join(elsewhere, 'precious'), join(r.outDir, 'third', 'audio.wav'));
    record(r, 2, 'third');
    for (const stream of [0, 1, 2]) r.closeStream(stream);
    r.work();
    expect(readdirSync(elsewhere)).toEqual(['precious']);
    expect(readFileSync(join(elsewhere, 'precious'), 'utf8')).toBe('precious');
    for (const folder of ['call-2', 'second-2', 'third-2']) expect(r.wav(folder).samples).toEqual(tone(0, 4000));
    expect(lstatSync(join(r.outDir, 'call')).isSymbolicLink()).toBe(true);
    rmSync(elsewhere, { recursive: true });
  });

  it('are not followed by a repair either', async () => {
    const r = rig();
    const elsewhere = mkdtempSync(join(tmpdir(), 'trunkline-elsewhere-'));
    const wav = Buffer.concat([Buffer.alloc(44), Buffer.from(tone(0, 800).buffer)]);
    mkdirSync(join(elsewhere, 'whole'));
    for (const file of ['audio.wav', 'whole/audio.wav']) writeFileSync(join(elsewhere, file), wav);
    symlinkSync(join(elsewhere, 'whole'), join(r.outDir, 'linked-folder'));
    mkdirSync(join(r.outDir, 'linked-file'));
    symlinkSync(join(elsewhere, 'audio.wav'), join(r.outDir, 'linked-file', 'audio.wav'));
    const report = await repairRecordings(r.outDir, { clock: r.clock });
    expect(report).toMatchObject({ recordings: 0, repaired: [], failed: [] });
    for (const file of ['audio.wav', 'whole/audio.wav']) {
      expect(readFileSync(join(elsewhere, file))).toEqual(wav);
    }
    rmSync(elsewhere, { recursive: true });
  });

  it('in the place of the manifest is replaced, not followed', () => {
    const r = rig();
    record(r, 0, 'call');
    const target = join(r.outDir, 'precious');
    writeFileSync(target, 'precious');
    symlinkSync(target, join(r.outDir, 'call', 'session.json'));
    r.closeStream(0);
    r.work();
    expect(readFileSync(target, 'utf8')).toBe('precious');
    expect(r.manifest('call').endReason).toBe('ended');
  });
});
