import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of so many kilobytes, or undefined where that may not be made: it takes root. */
export function mountTiny(kilobytes = 128): string | undefined {
  const at = mkdtempSync(join(tmpdir(), 'trunkline-tiny-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'none', at], { stdio: 'ignore' });
    return at;
  } catch {
    rmSync(at, { recursive: true });
    return undefined;
  }
}

export function unmount(at: string): void {
  execFileSync('umount', [at]);
  rmSync(at, { recursive: true, force: true });
}
