import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of so many kilobytes, or undefined where that may not be made: it takes root. */
export function mountTiny(kilobytes = 128, folder?: string): string | undefined {
  const at = folder ?? mkdtempSync(join(tmpdir(), 'trunkline-tiny-'));
  mkdirSync(at, { recursive: true });
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
