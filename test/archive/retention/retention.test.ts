import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deleteRecording } from '../../../src/archive/retention/delete-recording.js';
import { Deletions } from '../../../src/archive/retention/deletions.js';
import { HoldEntries } from '../../../src/archive/retention/hold-entries.js';
import { changeHold, HOLDS_FILE, type HoldChange, readHolds } from '../../../src/archive/retention/legal-holds.js';
import { Retention, retentionPlan } from '../../../src/archive/retention/retention.js';
import { ManualClock } from '../../../src/core/clock.js';
import type { AuditFields } from '../../../src/core/events.js';
import { parseRetentionRule, policyOf } from '../../../src/core/retention/policy.js';
import { changeAttributes } from '../../../src/sinks/recorder/files/change-attributes.js';
import { recordingFolders } from '../../../src/sinks/recorder/folders/recording-folders.js';
import { writeRecording } from '../../support/recordings.js';

const DAY_US = 86_400_000_000;
const START_MS = Date.parse('2026-01-01T00:00:00Z');

let out: string;
let clock: ManualClock;
let entries: { action: string; folder: string | undefined; fields: AuditFields }[];
let faults: string[];

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-retention-'));
  mkdirSync(join(out, '.unfinished'));
  clock = new ManualClock(0, START_MS);
  entries = [];
  faults = [];
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

function retention(
  settings: Parameters<typeof policyOf>[0],
  over: { pending?: string[]; audit?: () => Promise<void> } = {},
) {
  const deletions = new Deletions({
    ...{ directory: out, fileMode: 0o600, fault: (message) => faults.push(message) },
    audit: async (action, fields) => {
      // Before anything of the recording is touched.
      const { folder } = fields.recording ?? {};
      expect(folder === undefined || existsSync(join(out, folder, 'audio.wav'))).toBe(true);
      await over.audit?.();
      entries.push({ action, folder, fields });
    },
  });
  return new Retention(policyOf(settings), {
    ...{ directory: out, clock, delete: (deletion) => deletions.delete(deletion) },
    fault: (message) => faults.push(message),
    count: () => {},
    pending: () => Promise.resolve(new Set(over.pending)),
    closing: new AbortController().signal,
  });
}

function write(id: string, day: number, attributes: object = {}, options: object = {}): void {
  const startedAt = new Date(START_MS + day * 86_400_000).toISOString();
  writeRecording(out, id, {
    manifest: { interactionId: id.split('/').at(-1) ?? '', startedAt, attributes },
    ...options,
  });
}

const hold = (kind: HoldChange['kind'], value: string, action: HoldChange['action'] = 'add'): HoldChange => ({
  ...{ action, kind, value, since: '2026-01-01T00:00:00.000Z', by: 'test' },
});
const left = (): string[] => [...recordingFolders(out)].sort();

describe('over years', () => {
  it('each recording goes with its period, no day earlier, and what is held or kept for ever stays', async () => {
    for (let day = 0; day < 60; day += 20) {
      write(`2026/sales-${day}`, day, { queue: 'Sales' });
      write(`other-${day}`, day);
      write(`claim-${day}`, day, { queue: 'Sales', tags: ['Claim'] });
    }
    changeHold(out, hold('interaction', 'OTHER-20'));
    const runner = retention({ keepDays: 400, rules: ['tag=claim:days=forever', 'queue=sales:days=30'] });
    const gone = new Map<string, number>();
    for (let day = 0; day < 460; day++) {
      for (const folder of await runner.run()) gone.set(folder, day);
      clock.advanceUs(DAY_US);
    }
    // One second of audio after its start: the first run in which it is old enough is that of the next day.
    for (let day = 0; day < 60; day += 20) {
      expect(gone.get(`2026/sales-${day}`)).toBe(day + 31);
      expect(gone.get(`other-${day}`)).toBe(day === 20 ? undefined : day + 401);
    }
    expect(left()).toEqual(['claim-0', 'claim-20', 'claim-40', 'other-20']);
    expect(existsSync(join(out, '2026'))).toBe(false);
    expect(entries.map(({ folder }) => folder).sort()).toEqual([...gone.keys()].sort());
    expect(entries[0]).toMatchObject({
      action: 'recording_deleted',
      fields: {
        reason: 'retention',
        recording: { folder: '2026/sales-0', folderKey: expect.stringMatching(/^[0-9a-f]{64}$/) },
      },
    });
    clock.advanceUs(3_650 * DAY_US);
    expect(await runner.run()).toEqual([]);
    changeHold(out, hold('interaction', 'other-20', 'remove'));
    expect(await runner.run()).toEqual(['other-20']);
    expect(faults).toEqual([]);
  });

  it('a clock that is set back deletes nothing; one that is set far ahead is reported, and one run left out', async () => {
    write('call', 0);
    const runner = retention({ keepDays: 30, rules: [] });
    clock = new ManualClock(0, START_MS + 20 * 86_400_000);
    expect(await retention({ keepDays: 30, rules: [] }).run()).toEqual([]);
    clock = new ManualClock(0, START_MS - 400 * 86_400_000);
    expect(await retention({ keepDays: 30, rules: [] }).run()).toEqual([]);
    expect(left()).toEqual(['call']);
    let ms = START_MS;
    const jumping = new Retention(policyOf({ keepDays: 30, rules: [] }), {
      ...{ directory: out, clock: { nowUs: () => 0, wallMs: () => ms } },
      delete: ({ folder }) => Promise.resolve(deleteRecording(out, folder)),
      ...{
        fault: (message: string) => faults.push(message),
        count: () => {},
        pending: () => Promise.resolve(new Set<string>()),
      },
      closing: new AbortController().signal,
    });
    expect(await jumping.run()).toEqual([]);
    ms += 900 * 86_400_000;
    expect(await jumping.run()).toEqual([]);
    expect(faults).toEqual([expect.stringMatching(/set ahead/)]);
    expect(await jumping.run()).toEqual(['call']);
    expect(runner).toBeDefined();
  });
});

describe('nothing is deleted', () => {
  it('that is unfinished, pending, of no readable end, or outside', async () => {
    write('fine', 0);
    write('open', 0, {}, { unfinished: 'alive' });
    write('killed', 0, {}, { unfinished: 'dead' });
    write('goes-on', 0);
    writeFileSync(join(out, 'goes-on/session.json.partial'), '{}');
    write('pending', 0);
    write('odd-end', 0);
    const odd = JSON.parse(readFileSync(join(out, 'odd-end/session.json'), 'utf8')) as object;
    writeFileSync(join(out, 'odd-end/session.json'), JSON.stringify({ ...odd, endedAt: 'soon' }));
    write('no-json', 0);
    writeFileSync(join(out, 'no-json/session.json'), '{');
    const outside = mkdtempSync(join(tmpdir(), 'trunkline-outside-'));
    writeRecording(outside, 'elsewhere');
    symlinkSync(outside, join(out, 'linked'));
    symlinkSync(join(outside, 'elsewhere/audio.wav'), join(out, 'fine/link.wav'));
    clock.advanceUs(5_000 * DAY_US);
    expect(await retention({ keepDays: 1, rules: [] }, { pending: ['pending'] }).run()).toEqual(['fine']);
    expect(left()).toEqual(['goes-on', 'killed', 'no-json', 'odd-end', 'open', 'pending']);
    expect(readdirSync(join(outside, 'elsewhere')).sort()).toEqual(['audio.wav', 'session.json']);
    rmSync(outside, { recursive: true });
  });

  it('without its entry in the audit', async () => {
    write('call', 0);
    clock.advanceUs(100 * DAY_US);
    const failing = { audit: () => Promise.reject(new Error('the disk is full')) };
    expect(await retention({ keepDays: 1, rules: [] }, failing).run()).toEqual([]);
    expect(readdirSync(join(out, 'call'))).toEqual(['audio.wav', 'session.json']);
    expect(faults).toEqual([expect.stringMatching(/cannot be deleted: the disk is full/)]);
    expect(await retention({ keepDays: 1, rules: [] }).run()).toEqual(['call']);
  });

  it('while a legal hold cannot be read', async () => {
    write('call', 0);
    clock.advanceUs(100 * DAY_US);
    changeHold(out, hold('tag', 'x'));
    const path = join(out, HOLDS_FILE);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length - 1; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 1;
      writeFileSync(path, damaged);
      expect(await retention({ keepDays: 1, rules: [] }).run(), `byte ${at}`).toEqual([]);
    }
    expect(new Set(faults).size).toBeLessThanOrEqual(3);
    writeFileSync(path, whole);
    expect(await retention({ keepDays: 1, rules: [] }).run()).toEqual(['call']);
  });

  it('in a dry run, which says why of each', async () => {
    write('old', 0);
    write('new', 99);
    clock.advanceUs(100 * DAY_US);
    const plan = [];
    for await (const { folder, isDue, why } of retentionPlan(out, policyOf({ keepDays: 30, rules: [] }), clock)) {
      plan.push([folder, isDue, why]);
    }
    expect(plan.sort()).toEqual([
      ['new', false, 'within 30 days (keepDays)'],
      ['old', true, 'older than 30 days (keepDays)'],
    ]);
    expect(left()).toEqual(['new', 'old']);
  });
});

it('a kill at any point of a deletion leaves a recording that is due, without its key, and the next run completes it', async () => {
  const names = ['audio.wav.enc', 'audio-2.wav.enc', 'notes.txt'];
  for (let removed = 0; removed <= names.length; removed++) {
    write('call', 0);
    for (const name of names) writeFileSync(join(out, 'call', name), Buffer.alloc(100_000, 1));
    // What a kill has left: the keys are gone first, then the files in some order, the manifest last.
    for (const name of names.slice(0, removed)) rmSync(join(out, 'call', name));
    clock = new ManualClock(0, START_MS + 400 * 86_400_000);
    expect(await retention({ keepDays: 30, rules: [] }).run()).toEqual(['call']);
    expect(existsSync(join(out, 'call'))).toBe(false);
  }
});

it('the key of an encrypted file is written over before the file goes; a folder within keeps the rest', () => {
  write('call', 0);
  const path = join(out, 'call/audio.wav.enc');
  writeFileSync(path, Buffer.alloc(100_000, 1));
  // A second name shows what the file was when it was removed.
  linkSync(path, join(out, 'second-name'));
  mkdirSync(join(out, 'call/inside'));
  deleteRecording(out, 'call');
  const bytes = readFileSync(join(out, 'second-name'));
  expect(bytes.subarray(0, 65_536).every((byte) => byte === 0)).toBe(true);
  expect(bytes[65_536]).toBe(1);
  expect(readdirSync(join(out, 'call'))).toEqual(['inside']);
});

describe('legal holds', () => {
  it('are in force from their line on, and each change is entered once, also those made without a node', async () => {
    expect(changeHold(out, hold('tag', 'Claim'))).toBe(true);
    expect(changeHold(out, hold('tag', 'claim'))).toBe(false);
    changeHold(out, { ...hold('interaction', 'call-1'), reason: 'case 7' });
    expect(changeHold(out, hold('tag', 'CLAIM', 'remove'))).toBe(true);
    expect(readHolds(out).holds.map(({ value }) => value)).toEqual(['call-1']);
    const told: unknown[] = [];
    const make = () =>
      new HoldEntries({
        ...{ directory: out, fileMode: 0o600, fault: (message) => faults.push(message) },
        audit: (action, { actor, detail }, interactionId) => {
          told.push([action, interactionId, actor, detail]);
          return Promise.resolve();
        },
      });
    await make().look();
    await make().look();
    // Lost changes may have been holds.
    const whole = readFileSync(join(out, HOLDS_FILE));
    writeFileSync(join(out, HOLDS_FILE), whole.subarray(0, whole.indexOf('\n') + 1));
    expect(() => readHolds(out)).toThrow(/some were lost/);
    expect(told).toEqual([
      ['legal_hold_added', undefined, 'test', 'tag Claim'],
      ['legal_hold_added', 'call-1', 'test', 'case 7'],
      ['legal_hold_removed', undefined, 'test', 'tag CLAIM'],
    ]);
    expect(faults).toEqual([]);
  });

  it('on a tag hold a recording of which somebody has removed the tag after the call, until they are ended', async () => {
    write('call', 0, { tags: ['Claim'] });
    write('other', 0, { tags: ['vip'] });
    changeHold(out, hold('tag', 'claim'));
    changeAttributes(out, 'call', { tags: null }, false, 1);
    changeAttributes(out, 'other', { tags: ['claim'] }, false, 2);
    clock.advanceUs(400 * DAY_US);
    const runner = retention({ keepDays: 30, rules: [] });
    expect(await runner.run()).toEqual([]);
    changeHold(out, hold('tag', 'claim', 'remove'));
    expect((await runner.run()).toSorted()).toEqual(['call', 'other']);
  });

  it('refuse values that cannot be one', () => {
    for (const value of ['', ' ', 'x'.repeat(257)])
      expect(() => changeHold(out, hold('tag', value))).toThrow(/1 to 256/);
  });
});

it.each(['queue=Sales', 'queue=Sales:days=0', 'queue=Sales:days=x', 'days=5', 'colour=red:days=5', '*:days=40000'])(
  '%s is no rule',
  (text) => expect(() => parseRetentionRule(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' })),
);
