import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/source-tree.js';

function build(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return spawnSync(process.execPath, ['native/platforms/build.mjs', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
}

describe('npm run build:platforms', () => {
  it('names the targets that there are when it is asked for another', () => {
    const { status, stderr } = build(['riscv64gc-unknown-linux-gnu']);
    expect(status).toBe(1);
    expect(stderr).toContain('unknown target riscv64gc-unknown-linux-gnu; there are x86_64-unknown-linux-gnu, ');
  });

  it('says which program is missing, and what it is for', () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-no-programs-'));
    try {
      expect(build([], { PATH: folder }).stderr).toBe('trunkline: cargo is missing: install a Rust toolchain\n');
      // A Rust that did not come by rustup: it answers, and has no standard library but its own.
      for (const program of ['cargo', 'cmake', 'python3', 'rustc']) symlinkSync('/bin/echo', join(folder, program));
      const { status, stderr } = build(['aarch64-unknown-linux-musl'], { PATH: folder });
      expect(status).toBe(1);
      expect(stderr).toMatch(/^trunkline: rustup is missing: .* no standard library for aarch64-unknown-linux-musl/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
