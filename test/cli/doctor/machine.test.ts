import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { fileSystemFinding, spaceFinding, speedFinding } from '../../../src/cli/doctor/disk.js';
import {
  checkMemory,
  checkNative,
  checkNode,
  checkOpenFiles,
  checkProcessors,
} from '../../../src/cli/doctor/machine.js';
import { clockFinding } from '../../../src/cli/doctor/platform.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-doctor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the doctor', () => {
  test.each([
    ['18.20.4', 'fail'],
    ['20.18.1', 'fail'],
    ['20.19.0', 'ok'],
    ['22.1.0', 'ok'],
    ['23.4.0', 'warn'],
    ['24.0.0', 'ok'],
  ])('judges Node %s: %s', (version, status) => {
    expect(checkNode(version)).toMatchObject({ status, message: expect.stringContaining(version) });
  });

  test.each([
    ['off', 'ok'],
    ['auto', 'warn'],
    ['require', 'fail'],
  ] as const)('judges a missing native module with --native %s: %s', (native, status) => {
    const load = () => {
      throw new Error('there is none for this machine');
    };
    expect(checkNative({ native }, load)).toMatchObject({ status });
    expect(checkNative({ native }, () => ({})).status).toBe('ok');
  });

  test.each([
    ['1048576', 4096, 8080, 'ok'],
    ['4736', 4096, undefined, 'ok'],
    ['4735', 4096, undefined, 'warn'],
    ['4736', 4096, 8080, 'warn'],
    ['656', 16, undefined, 'ok'],
    ['256', 4096, undefined, 'fail'],
    ['unlimited', 16_384, 8080, 'ok'],
  ])('judges %s open files for %i streams with AudioHook at %s: %s', (limit, maxStreams, audiohookPort, status) => {
    const limits = `Limit  Soft Limit  Hard Limit  Units\nMax open files            200                 ${limit}                files\n`;
    const finding = checkOpenFiles({ maxStreams, record: true, audiohookPort }, limits);
    expect(finding).toMatchObject({ status, message: expect.stringContaining(limit) });
    expect(finding.fix === undefined).toBe(status === 'ok');
  });

  test.each([
    ['v2', '0::/a.slice/b.service', 'sys/fs/cgroup/a.slice/b.service/memory.max'],
    ['v2, in a container', '0::/docker/of-the-host', 'sys/fs/cgroup/memory.max'],
    ['v1', '4:memory:/docker/x', 'sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes'],
  ])('knows the memory limit of control groups %s', (name, line, file) => {
    const root = join(folder, name);
    for (const [path, content] of [
      ['proc/self/cgroup', `${line}\n`],
      [file, `${150 * 2 ** 20}\n`],
    ] as const) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    const settings = { maxStreams: 1000, recordBufferMegabytes: 64 };
    expect(checkMemory(settings, root, 64 * 2 ** 30)).toMatchObject({
      status: 'fail',
      message: '150 MB; 1000 streams need 284 MB',
    });
    writeFileSync(join(root, file), 'max\n');
    expect(checkMemory(settings, root, 250 * 2 ** 20)).toMatchObject({ status: 'warn' });
    expect(checkMemory(settings, root, 64 * 2 ** 30)).toMatchObject({ status: 'ok' });
  });

  test('judges processors and decoding threads', () => {
    expect(checkProcessors({ shards: 3 }, 4, 4).status).toBe('ok');
    expect(checkProcessors({ shards: 1 }, 1, 8)).toMatchObject({
      status: 'warn',
      message: expect.stringMatching(/quota/),
    });
    expect(checkProcessors({ shards: 8 }, 4, 4)).toMatchObject({ status: 'warn', fix: 'Set --shards to 3 or less.' });
  });

  test('judges file systems, space and speed', () => {
    expect(fileSystemFinding('/x', { type: 0xef53 })).toMatchObject({
      status: 'ok',
      message: '/x is writable, on ext4',
    });
    // The numbers of some are negative where they are signed.
    for (const type of [0x0102_1994, 0x794c_7630, 0x6969, 0xff53_4d42, 0xff53_4d42 | 0]) {
      expect(fileSystemFinding('/x', { type }), String(type)).toMatchObject({ status: 'warn' });
    }
    const space = (gigabytes: number, ffree = 1e6) =>
      spaceFinding(
        { bavail: gigabytes * 1e6, bsize: 1000, files: 1e6, ffree },
        { opusSampleRate: 16_000, recordMinFreeMegabytes: 1024 },
      );
    // 16,000 × 2 bytes × 2 channels × 3,600 s are 230.4 MB.
    expect(space(230.4)).toMatchObject({ status: 'ok', message: expect.stringContaining(' 1000 hours ') });
    expect(space(9)).toMatchObject({ status: 'warn' });
    expect(space(0.2)).toMatchObject({ status: 'fail' });
    expect(space(100, 50)).toMatchObject({ status: 'warn', message: expect.stringContaining('only 50 more files') });
    expect([speedFinding(200e6).status, speedFinding(5e6).status]).toEqual(['ok', 'warn']);
  });

  test.each([
    [0, 'ok'],
    [1_400, 'ok'],
    [-3_000, 'ok'],
    [4_000, 'warn'],
    [-60_000, 'fail'],
    [undefined, 'warn'],
  ])('judges a clock that is %s ms behind: %s', (skewMs, status) => {
    const answer = { url: new URL('https://example.com'), skewMs, certificate: undefined };
    expect(clockFinding([answer])).toMatchObject({ status });
    expect(clockFinding([new Error('unreachable'), answer])).toMatchObject({ status });
  });
});
