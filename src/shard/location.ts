/**
 * Where a worker's entry file is. Workers are loaded by Node itself and so need compiled JavaScript, also when the
 * caller runs from TypeScript sources, as under Vitest; then it is the build beside them.
 */
export function workerUrl(
  entry:
    | 'shard/entry'
    | 'sinks/recorder/entry'
    | 'sinks/recorder/conversion/entry'
    | 'sinks/audit/entry'
    | 'control/recordings/entry'
    | 'archive/entry',
): string {
  const fromSource = import.meta.url.endsWith('.ts');
  return new URL(fromSource ? `../../dist/src/${entry}.js` : `../${entry}.js`, import.meta.url).href;
}
