import { writeFileSync } from 'node:fs';
import { messageOf, TrunklineError } from '../../../core/errors.js';

/** The benchmarks and what they measure with are in the checkout; an installed package has not all of it. */
export async function benchmarks<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
    throw new TrunklineError(
      'CONFIG_INVALID',
      `This benchmark runs in a checkout of trunkline with its development dependencies: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Writes a report. @throws TrunklineError FILE_FAILED */
export function write(file: string, content: string): void {
  try {
    writeFileSync(file, content);
  } catch (error) {
    throw new TrunklineError('FILE_FAILED', `Cannot write ${file}: ${messageOf(error)}`, { cause: error });
  }
}
