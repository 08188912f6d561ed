import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { API_KEY, CLIENT_SECRET } from './node-rig.js';

export const MAIN = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));

/** `trunkline serve` in a process of its own. */
export interface ServeProcess {
  readonly child: ChildProcess;
  readonly url: string;
  readonly healthUrl: string;
  /** All that it has said on stderr, and on stdout after the first line. */
  readonly said: { log: string; last: string };
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
}

/** Starts it at its most talkative and resolves when it listens; without `keys` the usual key is in its environment. */
export async function serveProcess(
  out: string,
  args: readonly string[] = [],
  keys: readonly string[] = [],
): Promise<ServeProcess> {
  const credentials = { TRUNKLINE_AUDIOHOOK_API_KEY: API_KEY, TRUNKLINE_AUDIOHOOK_CLIENT_SECRET: CLIENT_SECRET };
  const child = spawn(
    process.execPath,
    [MAIN, 'serve', '--port', '0', '--out', out, '--log-level', 'trace', '--json', ...keys, ...args],
    { env: { ...process.env, ...(keys.length > 0 ? {} : credentials) }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const said = { log: '', last: '' };
  child.stderr.on('data', (chunk) => {
    said.log += String(chunk);
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    said.last = line;
  });
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  await Promise.race([once(lines, 'line'), exited]);
  if (said.last === '') throw new Error(said.log);
  return { child, ...(JSON.parse(said.last) as { url: string; healthUrl: string }), said, exited };
}
