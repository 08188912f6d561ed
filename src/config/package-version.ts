import { createRequire } from 'node:module';

/** The version of trunkline. By the package's own name, so that it is found from the sources as well as from the build. */
export function packageVersion(): string {
  const { version } = createRequire(import.meta.url)('trunkline/package.json') as { version: string };
  return version;
}
