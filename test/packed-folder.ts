import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** Where the first test file of a run that needs tarballs of this checkout puts them for all of them. */
export const PACKED_FOLDER = join(tmpdir(), `trunkline-packed-${process.pid}`);

/** As a global set-up of Vitest: removes them when the run is over. */
export default function setUp(): () => void {
  return () => rmSync(PACKED_FOLDER, { recursive: true, force: true });
}
