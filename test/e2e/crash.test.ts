import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';
import { manifestSchema } from '../../src/sinks/recorder/files/manifest.js';
import { StagedClock } from '../support/staged-clock.js';
import { until } from '../support/until.js';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

let out: string;
let simulator: Simulator;

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'trunkline-crash-'));
});

afterEach(async () => {
  await simulator.close();
  rmSync(out, { recursive: true, force: true });
});

function session(interactionId: string) {
  return manifestSchema.parse(JSON.parse(readFileSync(join(out, interactionId, 'session.json'), 'utf8')));
}

describe('kill -9 of the capturing process', () => {
  it('leaves recordings that open with all but the last second, after repair', async () => {
    const clock = new StagedClock(Number.POSITIVE_INFINITY);
    simulator = await startSimulator({ interactions: 5, codec: 'pcmu' }, clock);
    const child = spawn(
      process.execPath,
      [
        MAIN,
        'capture',
        ...['--api-url', simulator.apiUrl, '--media-url', simulator.mediaUrl],
        ...['--interactions', simulator.interactionIds.join(','), '--out', out, '--log-level', 'error'],
      ],
      { env: { ...process.env, GENESYS_CLIENT_ID: 'test', GENESYS_CLIENT_SECRET: 'test' }, stdio: 'inherit' },
    );
    const firstSent = async () => {
      const ledger = Object.values(simulator.ledger().interactions);
      return Math.min(...ledger.map((book) => book.sent));
    };
    while ((await firstSent()) < 150) await new Promise((resolve) => setTimeout(resolve, 20));
    // No more is sent, so that it does not matter when the process last had the CPU.
    clock.allow(0);
    const sent = simulator.ledger().interactions;
    for (const id of simulator.interactionIds) {
      const dueBytes = 16 * ((sent[id]?.sent ?? Number.POSITIVE_INFINITY) * 20 - 1000);
      const size = () => statSync(join(out, id, 'audio.wav'), { throwIfNoEntry: false })?.size ?? 0;
      await until(() => size() > 44 + dueBytes, 'all but the last second in the file');
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    const repair = spawnSync(process.execPath, [MAIN, 'repair', out], { encoding: 'utf8' });
    expect(repair.stderr).toBe('');
    expect(repair.status).toBe(0);
    expect(readdirSync(out).filter((name) => !name.includes('.'))).toHaveLength(5);
    for (const id of simulator.interactionIds) {
      const wav = readFileSync(join(out, id, 'audio.wav'));
      expect(wav.readUInt32LE(40)).toBe(wav.length - 44);
      const recordedMs = (wav.length - 44) / 16;
      expect(recordedMs).toBeGreaterThan((sent[id]?.sent ?? Number.POSITIVE_INFINITY) * 20 - 1000);
      expect(session(id).endReason).toBe('interrupted');
    }
  });
});
