import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { proveEntry } from '../../src/evidence/entry-proof.js';
import { signerOf } from '../../src/evidence/signed-note.js';
import { AuditLog } from '../../src/sinks/audit/audit-log.js';
import { CheckpointWriter } from '../../src/sinks/audit/checkpoint-writer.js';

const source = new URL('go/', import.meta.url).pathname;
/** The module comes from Go's proxy, which a machine without a network does not reach. */
const hasGo =
  spawnSync('go', ['version']).status === 0 &&
  spawnSync('go', ['mod', 'download'], { cwd: source, timeout: 60_000 }).status === 0;

it.skipIf(!hasGo)(
  'Go reads the note, has the same tree, and accepts each proof (needs Go and its module proxy)',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-go-'));
    try {
      const signer = signerOf('node.example', Buffer.alloc(32, 3));
      const onFault = (message: string) => expect.fail(message);
      const checkpoints = await CheckpointWriter.open({ directory: folder, fileMode: 0o600, signer, onFault });
      const log = new AuditLog({ file: join(folder, 'audit.jsonl'), region: 'here', checkpoints });
      await log.open();
      for (let i = 0; i < 41; i++) log.event('connected', `call ${i}`);
      await log.close();
      const lines = readFileSync(join(folder, 'audit.jsonl'), 'utf8').split('\n').slice(0, -1);
      const proofs = mkdtempSync(join(folder, 'proofs-'));
      for (const index of lines.keys()) {
        const { proof } = await proveEntry(folder, index, signer);
        writeFileSync(join(proofs, String(index)), proof);
      }
      const args = ['run', '.', folder, proofs, join(folder, 'audit.jsonl')];
      expect(execFileSync('go', args, { cwd: source, encoding: 'utf8' })).toBe('43 entries\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
