import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, it } from 'vitest';
import { startSimulator } from '../../src/simulator/genesys/simulator.js';
import { sessionOf } from '../support/audiohook/node-rig.js';
import { MAIN } from '../support/audiohook/serve-process.js';
import { mountTiny, unmount } from '../support/recorder/tiny-disk.js';

const SECONDS = 2;
const CALLS = 4;

describe('a disk that is full from the start', () => {
  it('stops no stream; what is missing is told at the end and makes it a failure', async (context) => {
    const out = mountTiny();
    if (out === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
    const simulator = await startSimulator({ interactions: CALLS, codec: 'pcmu', seconds: SECONDS });
    try {
      expect(() => writeFileSync(join(out, 'ballast'), Buffer.alloc(1 << 20))).toThrow(/ENOSPC/);
      const child = spawn(
        process.execPath,
        [
          ...[MAIN, 'capture', '--api-url', simulator.apiUrl, '--media-url', simulator.mediaUrl],
          ...['--interactions', simulator.interactionIds.join(','), '--out', join(out, 'capture'), '--json'],
          // Otherwise it would not even try.
          ...['--record-min-free-megabytes', '0'],
        ],
        { env: { ...process.env, GENESYS_CLIENT_ID: 'test', GENESYS_CLIENT_SECRET: 'test' }, stdio: 'pipe' },
      );
      const said = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk) => {
        said.stdout += String(chunk);
      });
      child.stderr.on('data', (chunk) => {
        said.stderr += String(chunk);
      });
      const [code] = await once(child, 'close');
      const summary = JSON.parse(said.stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, number>;
      expect(summary).toMatchObject({
        packetsReceived: CALLS * SECONDS * 50,
        ...{ packetsLost: 0, packetsDropped: 0, recordingsIncomplete: CALLS },
      });
      // At the least, that each call's connection, beginning and end were to be written down.
      expect(summary['auditEntriesLost']).toBeGreaterThan(3 * CALLS);
      expect(readFileSync(join(out, 'capture', 'audit.jsonl'), 'utf8')).toBe('');
      expect(said.stderr).toContain(`${CALLS} recordings are incomplete`);
      expect(said.stderr).toContain(`${summary['auditEntriesLost']} entries of the audit could not be written`);
      expect(said.stderr.split('\n').filter((line) => line.includes('audit.jsonl: ENOSPC'))).toHaveLength(1);
      expect(code).toBe(1);
      rmSync(join(out, 'ballast'));
      // What there is of a session says so itself.
      for (const id of simulator.interactionIds) {
        if (existsSync(join(out, 'capture', id, 'session.json'))) {
          expect(sessionOf(join(out, 'capture'), id).incomplete).toBe(true);
        }
      }
    } finally {
      await simulator.close();
      unmount(out);
    }
  }, 30_000);
});
