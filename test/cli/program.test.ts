import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { stretches } from '../support/speech.js';
import { wavFile } from '../support/wav-file.js';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'trunkline-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built program as a process. `afterLine` is called when the first line of stdout is there. */
function trunkline(args: string[], afterLine?: (kill: (signal: NodeJS.Signals) => void) => void): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const first = !stdout.includes('\n');
      stdout += chunk.toString();
      if (first && stdout.includes('\n')) afterLine?.((signal) => child.kill(signal));
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** One second of a square wave after two of faint noise, as a WAV file of 8 kHz. */
function lineSound(channels: number): Buffer {
  const samples = 3 * 8000;
  const file = Buffer.alloc(44 + samples * channels * 2);
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(file.length - 8, 4);
  file.write('WAVEfmt ', 8, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(channels, 22);
  file.writeUInt32LE(8000, 24);
  file.writeUInt32LE(8000 * channels * 2, 28);
  file.writeUInt16LE(channels * 2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36, 'latin1');
  file.writeUInt32LE(file.length - 44, 40);
  for (let i = 0; i < samples; i++) {
    const value = (i < 16_000 ? 82 : 8192) * (i % 20 < 10 ? 1 : -1);
    for (let channel = 0; channel < channels; channel++) {
      file.writeInt16LE(channel === 0 ? value : 0, 44 + (i * channels + channel) * 2);
    }
  }
  return file;
}

describe('the command line', () => {
  test('without a command prints its help', async () => {
    const { code, stdout } = await trunkline([]);
    expect(code).toBe(0);
    for (const command of ['demo', 'capture', 'simulate', 'calibrate', 'repair', 'config'])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  test('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await trunkline(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.skipIf(process.platform === 'win32')('can be started by itself', () => {
    expect(readFileSync(MAIN, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(spawnSync(MAIN, ['config']).status).toBe(0);
  });

  test.each([
    [['simulat'], /unknown command 'simulat'[\s\S]*Did you mean simulate\?[\s\S]*try `trunkline --help`/],
    [['simulate', '--prot', '1'], /unknown option '--prot'[\s\S]*--port[\s\S]*try `trunkline simulate --help`/],
    [['simulate', '--port', '99999'], /whole number from 0 to 65535/],
    [['simulate', '--loss', 'some'], /share from 0 to 0.9, or from 0% to 90%/],
    [['simulate', '--loss', '95%'], /share from 0 to 0.9, or from 0% to 90%/],
    [['capture', '--playout-delay-ms', 'x'], /--playout-delay-ms must be a whole number from 0 to 2000, not "x"/],
    [['capture', '--hold-ms', 'x'], /--hold-ms must be a whole number from 0 to 2000, not "x"/],
    [['simulate', '--fault', 'bogus'], /There is no fault "bogus"; there are tokenLife, /],
    [['simulate', '--fault', 'cut:path=1'], /cut takes code, count, afterSeconds, everySeconds\.$/m],
    [['demo', '--fault', 'bogus'], /^trunkline: There is no fault "bogus"; there are tokenLife, .*\n$/],
    [['bench', 'micro', '--only', 'bogus'], /No step has "bogus" in its name[\s\S]*^trunkline: media decode PCMU$/m],
    [['bench', 'capacity', '--streams', '1', '--sweep', '1,2'], /--sweep <n,n>' cannot be used with option '--streams/],
    [['repair'], /missing required argument 'dir'/],
  ])('%j is a usage error that says what to do', async (args, says) => {
    const { code, stdout, stderr } = await trunkline(args);
    expect(stderr).toMatch(says);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test.each([
    ['capture', '--client-secret', 'GENESYS_CLIENT_SECRET'],
    ['capture', '--audit-key', 'TRUNKLINE_AUDIT_KEY'],
  ])('%s refuses the secret %s on the command line, and does not repeat it', async (command, flag, env) => {
    const { code, stderr } = await trunkline([command, flag, 's3cret']);
    expect(stderr).toBe(
      `trunkline: ${flag} is refused, because other users can read command lines: set ${env} in the environment.\n`,
    );
    expect(code).toBe(2);
    expect((await trunkline([command, '--help'])).stdout).not.toContain(flag);
  });

  test.each([['--clientsecret=s3cret'], ['--clientsecret=two s3cret'], ["--audit-ky='s3cret'"], ['--api-keys=s3cret']])(
    'the value of the misspelt option %s is not repeated',
    async (option) => {
      for (const command of ['capture', 'serve', 'calibrate']) {
        const { code, stdout, stderr } = await trunkline([command, option, '--json']);
        expect(stderr).toMatch(/unknown option '--[a-z-]+'\n/);
        expect(stderr + stdout).not.toContain('s3cret');
        expect(code).toBe(2);
        expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CONFIG_INVALID' } });
      }
    },
  );

  test('a command that fails says why in one line and exits 1', async () => {
    const { code, stderr } = await trunkline(['repair', join(folder, 'nowhere')]);
    expect(stderr).toMatch(/^trunkline: There is no folder .*nowhere; .*\n$/);
    expect(code).toBe(1);
  });

  test.each([
    [['bench', 'capacity', '--smoke', '--report', join(folder, 'nowhere', 'page.html')]],
    [['simulate', 'audiohook', '--url', 'ws://x', '--api-key', 'k', '--books', join(folder, 'nowhere', 'books.json')]],
  ])('%j says that it cannot write before it begins, not when all is done', async (args) => {
    const { code, stdout, stderr } = await trunkline(args);
    expect(stderr).toMatch(/^trunkline: Cannot write .*nowhere.*\n$/);
    expect([code, stdout]).toEqual([1, '']);
  });
});

describe('trunkline simulate', () => {
  test('says where it is in one line of JSON, and writes its ledger when interrupted', async () => {
    const ledger = join(folder, 'books.json');
    const { code, stdout, stderr } = await trunkline(
      ['simulate', '--interactions', '2', '--seconds', '60', '--books', ledger],
      (kill) => kill('SIGINT'),
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const ready = JSON.parse(stdout) as { apiUrl: string; mediaUrl: string; interactionIds: string[] };
    expect(ready.apiUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(ready.mediaUrl).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\//);
    const { interactions } = JSON.parse(readFileSync(ledger, 'utf8')) as { interactions: Record<string, unknown> };
    expect(Object.keys(interactions)).toEqual(ready.interactionIds);
  });
});

describe('trunkline calibrate', () => {
  test('prints the threshold that fits the louder channel', async () => {
    const file = join(folder, 'line.wav');
    writeFileSync(file, lineSound(2));
    const { code, stdout } = await trunkline(['calibrate', file, '--json']);
    expect(code).toBe(0);
    const { threshold, channels } = JSON.parse(stdout) as { threshold: number; channels: { seconds: number }[] };
    // 82 / 32768 = 0.0025, and 12 dB above it.
    expect(threshold).toBeCloseTo(0.01, 3);
    expect(channels.map(({ seconds }) => seconds)).toEqual([3, 3]);
  });

  test('writes a report with a picture, as a page or as SVG', async () => {
    const file = join(folder, 'reported.wav');
    writeFileSync(file, lineSound(2));
    for (const name of ['report.html', 'report.svg']) {
      const report = join(folder, name);
      const { code, stdout } = await trunkline(['calibrate', file, '--json', '--report', report]);
      expect(code).toBe(0);
      const { threshold } = JSON.parse(stdout) as { threshold: number };
      const text = readFileSync(report, 'utf8');
      expect(text).toContain('channel 1');
      expect(text).toContain(`threshold ${(20 * Math.log10(threshold)).toFixed(1)}`);
      expect(text.match(/<rect [^>]*fill="#7a8799"/g)?.length).toBeGreaterThan(3);
      expect(text).not.toMatch(/NaN|undefined|Infinity/);
    }
    const { code, stderr } = await trunkline(['calibrate', file, '--report', join(folder, 'report.pdf')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/A report is an \.html or \.svg file/);
  });

  test('reads every sample of a file longer than its buffer, and says how to use the result', async () => {
    const file = join(folder, 'mono.wav');
    writeFileSync(file, lineSound(1));
    const { stdout } = await trunkline(['calibrate', file]);
    expect(stdout).toMatch(
      /3\.0 s of sound\n.*works.*\nsilence returns below 0\.\d+\nthreshold (0\.\d+); use it as --silence-detector fixed --silence-threshold \1, /,
    );
  });

  test('says when no threshold works', async () => {
    const file = join(folder, 'loud.wav');
    const pcm = stretches(8000, [0.01, 2000], [0.014, 2000], [0.01, 2000]);
    writeFileSync(file, wavFile({ data: Buffer.from(pcm.buffer) }));
    const report = join(folder, 'loud.html');
    const { code, stdout } = await trunkline(['calibrate', file, '--report', report]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /no threshold works\..*\nno threshold works for all of it; the adaptive detector needs none\n$/,
    );
    expect(stdout).not.toContain('--silence-threshold');
    expect(readFileSync(report, 'utf8')).toContain('No fixed threshold works for all of it.');
  });

  test('refuses what is no WAV file', async () => {
    const file = join(folder, 'text.wav');
    writeFileSync(file, 'not a sound');
    const { code, stderr } = await trunkline(['calibrate', file]);
    expect(stderr).toMatch(/^trunkline: \S/);
    expect(code).toBe(1);
  });
});
