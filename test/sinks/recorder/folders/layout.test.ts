import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallAttributes } from '../../../../src/core/attributes/attributes.js';
import { DirectoryTemplate } from '../../../../src/sinks/recorder/folders/directory-template.js';
import {
  isRecordingFolder,
  isRecordingPath,
  recordingFolders,
} from '../../../../src/sinks/recorder/folders/recording-folders.js';
import { repairRecordings, repairUnfinished } from '../../../../src/sinks/recorder/repair.js';
import { streamInfo } from '../../../support/frames.js';
import { RecorderRig, tone } from '../../../support/recorder/recorder-rig.js';
import { writeRecording } from '../../../support/recordings.js';

const folders: string[] = [];
const rigs: RecorderRig[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  for (const rig of rigs.splice(0)) {
    rig.recorder.close();
    rig.remove();
  }
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'trunkline-layout-'));
  folders.push(made);
  return made;
}

const { interactionId: ID } = streamInfo();
const TEMPLATE = '{date}/q-{queue}/{direction}/{interactionId}';

function rig(): RecorderRig {
  const made = new RecorderRig({ options: { directoryTemplate: TEMPLATE } });
  rigs.push(made);
  return made;
}

function feed(r: RecorderRig, stream: number): void {
  for (let at = 0; at < 8000; at += 160) r.frame(stream, 0, at, tone(at, 160, 0));
}

describe('a template of folders', () => {
  const pathOf = (template: string, attributes?: CallAttributes) =>
    new DirectoryTemplate(template).pathOf(streamInfo(attributes && { attributes }));

  it('is filled in from the call; what is not known is called so', () => {
    expect(pathOf('{interactionId}')).toBe(ID);
    expect(pathOf('{year}/{month}/{day}-{hour}/{interactionId}')).toBe(`2023/11/14-22/${ID}`);
    expect(pathOf('{date}/{queue}/{interactionId}', { queue: 'Sales' })).toBe(`2023-11-14/Sales/${ID}`);
    expect(pathOf('{queue}/{division}/{interactionId}')).toBe(`unknown/unknown/${ID}`);
  });

  it.each([
    '',
    '{date}',
    '{interactionId}/{date}',
    '/{interactionId}',
    '../{interactionId}',
    '{colour}/{interactionId}',
    'a//{interactionId}',
    'x{interactionId}',
    '.hidden/{interactionId}',
    `${'a/'.repeat(8)}{interactionId}`,
  ])('%s is none', (template) => {
    expect(() => new DirectoryTemplate(template)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('inserts one plain name whatever an attribute is, and different ones for different attributes', () => {
    const text = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.constantFrom('..', '../..', '/etc', 'a/b', 'a\\b', '.', 'x'.repeat(128), '電話'),
    );
    fc.assert(
      fc.property(text, text, (one, other) => {
        const paths = [one, other].map((queue) => pathOf('{queue}/{user}/{interactionId}', { queue }));
        for (const path of paths) {
          expect(isRecordingPath(path)).toBe(true);
          expect(path.split('/')).toHaveLength(3);
        }
        expect(paths[0] === paths[1]).toBe(one === other);
      }),
    );
  });
});

describe('a recorder with a layout', () => {
  it('puts recordings into their folders; a call that changes its format stays in its own, whatever it is by then', () => {
    const r = rig();
    r.open(streamInfo({ attributes: { queue: 'Sales', direction: 'inbound' } }));
    feed(r, 0);
    r.closeStream(0, { endReason: 'formatChanged' });
    const { startedAtMs } = streamInfo();
    const segment = { number: 2, firstStartedAtMs: startedAtMs, startMs: 1500 };
    const later = {
      stream: 1,
      sampleRate: 16_000,
      clockRate: 16_000,
      codec: 'l16',
      startedAtMs: startedAtMs + 1500,
    } as const;
    r.open(streamInfo({ ...later, segment, attributes: { queue: 'Support' } }));
    feed(r, 1);
    r.closeStream(1);
    r.open(streamInfo({ stream: 2 }));
    feed(r, 2);
    r.closeStream(2);
    r.work();
    const first = `2023-11-14/q-Sales/inbound/${ID}`;
    expect([...recordingFolders(r.outDir)].sort()).toEqual([first, `2023-11-14/q-unknown/unknown/${ID}`]);
    expect(readdirSync(join(r.outDir, first)).sort()).toEqual(['audio-2.wav', 'audio.wav', 'session.json']);
    expect(r.manifest(first).attributes).toEqual({ queue: 'Support' });
  });

  it('is repaired after a kill, by its index and by its folders', async () => {
    for (const repair of [repairUnfinished, repairRecordings]) {
      const r = rig();
      r.open(streamInfo({ attributes: { queue: 'Sales' } }));
      feed(r, 0);
      r.work();
      r.clock.advanceUs(1_000_000);
      r.work();
      const path = `2023-11-14/q-Sales/unknown/${ID}`;
      const other = folder();
      // As another process left it.
      writeRecording(other, path, { unfinished: 'dead', manifest: { interactionId: ID } });
      const { repaired } = await repair(other);
      expect(repaired).toEqual([path]);
      expect(existsSync(join(r.outDir, path, 'session.json.partial'))).toBe(true);
    }
  });

  it('follows no symbolic link out of the output folder', () => {
    const r = rig();
    const outside = folder();
    symlinkSync(outside, join(r.outDir, '2023-11-14'));
    r.open(streamInfo());
    feed(r, 0);
    r.closeStream(0);
    r.work();
    expect(readdirSync(outside)).toEqual([]);
    expect(r.status.counters().writeErrors).toBeGreaterThan(0);
  });
});

describe('recordingFolders', () => {
  it('finds recordings at any depth, and neither other folders nor links', () => {
    const out = folder();
    for (const id of ['flat', 'day/deep', 'day/queue/deeper']) writeRecording(out, id);
    writeRecording(out, 'day/open', { unfinished: 'alive' });
    mkdirSync(join(out, 'empty/inside'), { recursive: true });
    mkdirSync(join(out, '.unfinished'));
    writeFileSync(join(out, '.unfinished/session.json'), '');
    writeFileSync(join(out, 'audit.jsonl'), '');
    const outside = folder();
    writeRecording(outside, 'elsewhere');
    symlinkSync(outside, join(out, 'linked'));
    expect([...recordingFolders(out)].sort()).toEqual(['day/deep', 'day/open', 'day/queue/deeper', 'flat']);
    expect(isRecordingFolder(out, 'day/deep')).toBe(true);
    for (const path of ['linked/elsewhere', '../x', 'day/../flat', 'none', '', '/', 'day//deep']) {
      expect(isRecordingFolder(out, path), path).toBe(false);
    }
  });
});
