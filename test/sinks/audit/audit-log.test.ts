import { createHmac } from 'node:crypto';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../../src/core/clock.js';
import type { StreamSummary } from '../../../src/core/events.js';
import { LIMITS } from '../../../src/core/limits.js';
import { AuditLog, type AuditOptions } from '../../../src/sinks/audit/audit-log.js';
import { frameView, streamInfo } from '../../support/frames.js';
import { mountTiny, unmount } from '../../support/recorder/tiny-disk.js';
import { until } from '../../support/until.js';

const PHONE = '+15551234567';
const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc';

let dir = '';
let file = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'trunkline-audit-'));
  file = join(dir, 'out', 'audit.jsonl');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function audit(
  use: (log: AuditLog) => void,
  options: Partial<AuditOptions> = {},
): Promise<Record<string, unknown>[]> {
  const log = new AuditLog({ file, region: 'us-east-1', clock: new ManualClock(), ...options });
  await log.open();
  use(log);
  await log.close();
  const text = readFileSync(file, 'utf8');
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const summary: StreamSummary = {
  endReason: 'ended',
  endedAtMs: 0,
  packetsReceived: 50,
  bytesReceived: 8000,
  packetsLost: 2,
  packetsLate: 0,
  packetsRepaired: 0,
  packetsForeign: 0,
  packetsDuplicate: 0,
  packetsReordered: 0,
  jitterUs: 0,
  packetsDropped: 0,
};

describe('entries', () => {
  it("have the tutorial's fields for the life of a stream and for each of its spans", async () => {
    const info = streamInfo();
    const entries = await audit((log) => {
      log.event('connected');
      log.streamOpened(info);
      log.frame(frameView({ info, sequenceNumber: 10, isSilent: true }));
      log.frame(frameView({ info, sequenceNumber: 11, isSilent: false, positionSamples: 160 }));
      log.silenceEdge({ info, channel: 0, silent: false, positionSamples: 240 });
      log.frame(frameView({ info, sequenceNumber: 12, isSilent: false, positionSamples: 320 }));
      log.markedSpan({ info, channel: 0, state: 'paused', startSamples: 480, lengthSamples: 8000 });
      log.streamEnded(info, summary);
    });
    const common = { timestamp: '2023-11-14T22:13:20.000Z', privacyCompliant: true, region: 'us-east-1' };
    const life = { interactionId: info.interactionId, sequenceNumber: null, signalDetected: null };
    const span = { action: 'media_capture', interactionId: info.interactionId, channel: 0 };
    expect(entries).toEqual([
      { ...common, action: 'connected', interactionId: null, sequenceNumber: null, signalDetected: null },
      { ...common, ...life, action: 'stream_opened' },
      { ...common, ...span, sequenceNumber: 10, signalDetected: false, positionMs: 0 },
      { ...common, ...span, sequenceNumber: 11, signalDetected: true, positionMs: 30 },
      {
        ...common,
        ...span,
        action: 'media_paused',
        sequenceNumber: 12,
        signalDetected: false,
        positionMs: 60,
        durationMs: 1000,
      },
      { ...common, ...life, action: 'stream_ended', reason: 'ended', packetsReceived: 50, packetsLost: 2 },
    ]);
  });

  it('come for each packet on request, and then not for spans', async () => {
    const info = streamInfo({ channels: 2 });
    const entries = await audit(
      (log) => {
        log.streamOpened(info);
        log.frame(frameView({ info, sequenceNumber: 1, isSilent: true }));
        log.frame(frameView({ info, sequenceNumber: 2, channel: 1, isSilent: false }));
        log.silenceEdge({ info, channel: 1, silent: false, positionSamples: 0 });
        log.frame(frameView({ info, sequenceNumber: 3, isSilent: false, lost: true }));
      },
      { perPacket: true },
    );
    expect(entries.slice(1).map((e) => [e['action'], e['sequenceNumber'], e['signalDetected'], e['channel']])).toEqual([
      ['media_capture', 1, false, 0],
      ['media_capture', 2, true, 1],
      ['media_lost', 3, false, 0],
    ]);
  });

  it('begin a new line after one that a kill has torn', async () => {
    await audit((log) => log.event('connected'));
    appendFileSync(file, '{"timestamp":"2023-');
    const log = new AuditLog({ file, region: 'us-east-1' });
    await log.open();
    log.event('connected');
    await log.close();
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.length).toBe(4);
    expect([JSON.parse(lines[0] ?? '').action, JSON.parse(lines[2] ?? '').action]).toEqual(['connected', 'connected']);
  });
});

describe('privacy', () => {
  it('replaces ids by their HMAC under a key, the same for events and streams', async () => {
    const info = streamInfo({ interactionId: PHONE });
    const entries = await audit(
      (log) => {
        log.event('subscribed', PHONE);
        log.streamOpened(info);
        log.streamEnded(info, summary);
      },
      { idKey: 'a key of some length' },
    );
    const hmac = createHmac('sha256', 'a key of some length').update(PHONE).digest('hex').slice(0, 32);
    for (const entry of entries) {
      expect(entry).toMatchObject({ interactionId: hmac, privacyCompliant: true });
    }
  });

  it('masks an id that shows personal data when there is no key, and says that this is not compliant', async () => {
    const entries = await audit((log) => {
      for (const id of [PHONE, 'alice@example.com', 'sip:bob@host', streamInfo().interactionId])
        log.event('subscribed', id);
      log.event('subscribed', PHONE);
    });
    expect(entries.map((entry) => entry['privacyCompliant'])).toEqual([false, false, false, true, false]);
    expect(entries[0]?.['interactionId']).toMatch(/^masked-[0-9a-f]{32}$/);
    expect(entries[4]?.['interactionId']).toBe(entries[0]?.['interactionId']);
    expect(readFileSync(file, 'utf8')).not.toMatch(/5551234567|alice|bob/);
  });

  it('lets nothing in but the fields that are named, and no number or token in their texts', async () => {
    const extra = {
      reason: `gone: ${PHONE}, Bearer abc.def, ${TOKEN}, mail bob@example.com`,
      code: `tel:${PHONE}`,
      attempt: Number.NaN,
      payload: 'AAAA',
      token: TOKEN,
    };
    const [entry] = await audit((log) => log.event(`call ${PHONE}`, undefined, extra), { region: `r ${PHONE}` });
    const text = readFileSync(file, 'utf8');
    expect(text).not.toMatch(/5551234567|abc\.def|eyJ|bob@|AAAA/);
    expect(Object.keys(entry ?? {})).toEqual([
      'timestamp',
      'action',
      'interactionId',
      'sequenceNumber',
      'signalDetected',
      'privacyCompliant',
      'region',
      'reason',
      'code',
    ]);
  });
});

describe('a disk that fails', () => {
  it('is reported once and counted, loses entries beyond the bound only, and lets close() end', async () => {
    const faults: string[] = [];
    const log = new AuditLog({ file: '/dev/full', region: 'us-east-1', onFault: (message) => faults.push(message) });
    await log.open();
    const reason = 'x'.repeat(30);
    const entries = Math.ceil((1.5 * LIMITS.auditBufferBytes) / 200);
    for (let i = 0; i < entries; i++) {
      log.event('connected', undefined, { reason, attempt: i });
      if (i % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(log.writeErrors).toBeGreaterThan(0);
    expect(log.dropped).toBeGreaterThan(0);
    await log.close();
    expect(faults).toEqual([expect.stringContaining('ENOSPC')]);
    // None of them has been written.
    expect(log.dropped).toBe(entries);
  });

  it('that becomes full in the middle of a line: every entry is in the file or counted', async (context) => {
    const disk = mountTiny(64);
    if (disk === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
    try {
      const log = new AuditLog({ file: join(disk, 'audit.jsonl'), region: 'us-east-1' });
      await log.open();
      const entries = 3_000;
      for (let i = 0; i < entries; i++) {
        log.event('connected', undefined, { reason: 'é'.repeat(i % 7), attempt: i });
        if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await log.close();
      const written = readFileSync(join(disk, 'audit.jsonl'), 'utf8').split('\n').length - 1;
      expect(written).toBeGreaterThan(100);
      expect(log.dropped).toBe(entries - written);
    } finally {
      unmount(disk);
    }
  });

  it('is an error at the start, which says what to do', async () => {
    writeFileSync(join(dir, 'out'), 'a file');
    const log = new AuditLog({ file, region: 'us-east-1' });
    await expect(log.open()).rejects.toMatchObject({ code: 'FILE_FAILED' });
    log.event('connected');
    await log.close();
  });
});

describe('a file that is moved or removed', () => {
  const lines = (path: string) =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  async function started(reopened: string[] = []): Promise<AuditLog> {
    const log = new AuditLog({ file, region: 'us-east-1', onReopened: (why) => reopened.push(why) });
    await log.open();
    return log;
  }

  it('by a rotation is made again, and no entry is lost on the way', async () => {
    const reopened: string[] = [];
    const log = await started(reopened);
    log.event('before');
    renameSync(file, `${file}.1`);
    log.event('meanwhile');
    await until(() => reopened.length > 0, 'the audit to be opened again');
    log.event('after');
    await log.close();
    expect(reopened).toEqual(['moved']);
    expect(log.dropped).toBe(0);
    expect(lines(`${file}.1`).map(({ action }) => action)).toEqual(['before', 'meanwhile']);
    expect(lines(file).map(({ action, reason }) => [action, reason])).toEqual([
      ['audit_reopened', 'moved'],
      ['after', undefined],
    ]);
  });

  it('with its folder is made again with both', async () => {
    const reopened: string[] = [];
    const log = await started(reopened);
    log.event('before');
    rmSync(join(dir, 'out'), { recursive: true });
    await until(() => reopened.length > 0, 'the audit to be opened again');
    log.event('after');
    await log.close();
    expect(reopened).toEqual(['removed']);
    expect(lines(file).map(({ action }) => action)).toEqual(['audit_reopened', 'after']);
  });

  it('and replaced by another, empty one is found by its inode', async () => {
    const reopened: string[] = [];
    const log = await started(reopened);
    renameSync(file, `${file}.1`);
    writeFileSync(file, '{"action":"theirs"}\n');
    await until(() => reopened.length > 0, 'the audit to be opened again');
    log.event('after');
    await log.close();
    expect(lines(file).map(({ action }) => action)).toEqual(['theirs', 'audit_reopened', 'after']);
  });

  it('is opened again at once on request, as on SIGHUP', async () => {
    const reopened: string[] = [];
    const log = await started(reopened);
    log.event('before');
    renameSync(file, `${file}.1`);
    await log.reopen();
    log.event('after');
    await log.close();
    expect(reopened).toEqual(['requested']);
    expect(lines(`${file}.1`)).toHaveLength(1);
    expect(lines(file).map(({ action }) => action)).toEqual(['audit_reopened', 'after']);
    await log.reopen();
  });

  it('is put aside on request where nobody has moved it, and never lost', async () => {
    const log = await started();
    log.event('before');
    await Promise.all([log.reopen(), log.reopen()]);
    log.event('after');
    await log.reopen();
    await log.close();
    await log.reopen();
    const actions = readdirSync(join(dir, 'out')).map((name) =>
      lines(join(dir, 'out', name)).map(({ action }) => action),
    );
    expect(
      actions
        .flat()
        .filter((action) => action !== 'audit_reopened')
        .toSorted(),
    ).toEqual(['after', 'before']);
    expect(actions.length).toBeGreaterThan(2);
  });

  it('and cannot be made again is reported once, and tried until it can', async () => {
    const faults: string[] = [];
    const reopened: string[] = [];
    const log = new AuditLog({
      ...{ file, region: 'us-east-1', onFault: (text: string) => faults.push(text) },
      onReopened: (why) => reopened.push(why),
    });
    await log.open();
    rmSync(join(dir, 'out'), { recursive: true });
    writeFileSync(join(dir, 'out'), 'a file in the place of the folder');
    await until(() => faults.length > 0, 'the fault to be reported');
    await log.reopen();
    expect(faults).toHaveLength(1);
    rmSync(join(dir, 'out'));
    await until(() => reopened.length > 0, 'the audit to be opened again');
    log.event('after');
    await log.close();
    expect(lines(file).at(-1)).toMatchObject({ action: 'after' });
  });
});

describe('the file', () => {
  it('belongs to its owner alone, or to a group on request', async () => {
    await audit((log) => log.event('connected'));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'out')).mode & 0o777).toBe(0o700);
    rmSync(join(dir, 'out'), { recursive: true });
    await audit((log) => log.event('connected'), { fileMode: 0o640 });
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(statSync(join(dir, 'out')).mode & 0o777).toBe(0o750);
  });

  it('is never a symbolic link, neither at the start nor after a rotation', async () => {
    mkdirSync(join(dir, 'out'));
    writeFileSync(join(dir, 'precious'), 'precious');
    symlinkSync(join(dir, 'precious'), file);
    const log = new AuditLog({ file, region: 'us-east-1' });
    await expect(log.open()).rejects.toMatchObject({
      code: 'FILE_FAILED',
      message: expect.stringContaining('symbolic link'),
    });
    rmSync(file);
    const faults: string[] = [];
    const running = new AuditLog({ file, region: 'us-east-1', onFault: (message) => faults.push(message) });
    await running.open();
    rmSync(file);
    symlinkSync(join(dir, 'precious'), file);
    await until(() => faults.length > 0, 'the link to be refused');
    await running.close();
    expect(readFileSync(join(dir, 'precious'), 'utf8')).toBe('precious');
  });
});
