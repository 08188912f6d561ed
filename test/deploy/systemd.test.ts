import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  deployFile,
  effectiveSettings,
  freePort,
  hasProgram,
  output,
  started,
  trunkline,
} from '../support/cli/deploy-files.js';

/** What systemd puts the folder of the credentials in place of. */
const CREDENTIALS = /^\$\{CREDENTIALS_DIRECTORY\}/;
const hasSystemd = hasProgram('systemd-analyze', '--version');
const folder = mkdtempSync(join(tmpdir(), 'trunkline-unit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `trunkline deploy systemd` prints, as a file. */
const unitFile = join(folder, 'trunkline.service');
const printed = trunkline(['deploy', 'systemd']).stdout;
writeFileSync(unitFile, printed);
// systemd puts the name of the unit in place of %N.
const unit = printed.replaceAll('%N', 'trunkline');

/** The last value of a directive. */
function directive(name: string): string {
  const values = unit.split('\n').filter((line) => line.startsWith(`${name}=`));
  return values.at(-1)?.slice(name.length + 1) ?? '';
}

const command = directive('ExecStart').split(' ');
const flags = command.slice(3);

function flag(name: string): string {
  return flags[flags.indexOf(name) + 1] ?? '';
}

describe('the unit', () => {
  test.skipIf(!hasSystemd)('is accepted by systemd', () => {
    // It says nothing when nothing is wrong. PATH has no man pages to be checked.
    expect(output('systemd-analyze', ['verify', '--man=no', unitFile])).toBe('');
  });

  test.skipIf(!hasSystemd)('has a low exposure in the judgement of systemd', () => {
    const report = output('systemd-analyze', ['security', '--offline=true', '--no-pager', unitFile]);
    const exposure = Number(/exposure level for trunkline\.service: ([\d.]+)/.exec(report)?.[1]);
    expect(exposure).toBeLessThan(2);
  });

  test('has the user that it makes', () => {
    expect(directive('User')).toBe('trunkline');
    expect(deployFile('systemd/trunkline.sysusers.conf')).toMatch(/^u trunkline - "trunkline" \/var\/lib\/trunkline /m);
    const [recordings, keys] = directive('StateDirectory')
      .split(' ')
      .map((name) => `/var/lib/${name}`);
    expect(recordings).toBe(flag('--out'));
    expect(unit).toContain(`TRUNKLINE_AUDIT_SIGNING_KEY=${keys}/`);
  });

  test('gives the node longer to stop than it takes', () => {
    expect(Number(directive('TimeoutStopSec'))).toBeGreaterThan(Number(flag('--drain-seconds')) + 1);
  });

  test('has flags and settings that the program takes', () => {
    writeFileSync(join(folder, 'settings.json'), deployFile('systemd/trunkline.json'));
    const effective = effectiveSettings(
      flags.map((one) => (one.startsWith('$') ? one.replace(CREDENTIALS, folder) : one)),
    );
    expect(effective['recording']?.['out']).toEqual({ value: '/var/lib/trunkline', origin: '--out' });
    expect(effective['genesys']?.['clientSecret']?.value).toBe('(set)');
    expect(effective['audiohook']?.['port']?.value).toBe(8080);
  });

  test('starts, reloads and stops as the unit says', async () => {
    const credentials = join(folder, 'credentials');
    const out = join(folder, 'out');
    const keysFile = join(credentials, 'keys.json');
    mkdirSync(credentials);
    const port = await freePort();
    const audiohook = { port: 0, keysFile };
    writeFileSync(join(credentials, 'settings.json'), JSON.stringify({ audiohook, control: { port } }));
    writeFileSync(keysFile, JSON.stringify([{ apiKey: 'key', clientSecret: 'c2VjcmV0' }]));
    const words = command
      .map((word) => word.replace(CREDENTIALS, credentials))
      .map((word) => (word === '/var/lib/trunkline' ? out : word));
    const { child, ended } = await started(words);
    try {
      const healthUrl = `http://127.0.0.1:${port}/readyz`;
      expect((await fetch(healthUrl)).status).toBe(200);
      expect(directive('ExecReload')).toBe('/bin/kill -HUP $MAINPID');
      child.kill('SIGHUP');
      expect((await fetch(healthUrl)).status).toBe(200);
      child.kill(directive('KillSignal') as NodeJS.Signals);
      expect(await ended).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
