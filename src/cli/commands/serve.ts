import { readFileSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import { z } from 'zod';
import { printableConfig } from '../../config/documents.js';
import type { LoadedConfig } from '../../config/load.js';
import { type Config, nodeConfigOf, settingsOf } from '../../config/schema.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { AudioHookNode, AudioHookNodeSettings } from '../../node/audiohook-node.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { NodeConsole } from '../console/node-console.js';
import { reportOutcome } from '../console/summary.js';
import { untilInterrupted } from '../process/signals.js';

/** Of the other settings, those that mean something to a server of ordered streams. */
const SETTING_NAMES = [
  'out',
  'record',
  'seconds',
  'drainSeconds',
  'shards',
  'maxStreams',
  'silenceThreshold',
  'silenceWindowMs',
  'includeSilent',
  'audit',
  'auditKey',
  'region',
  'native',
  'logLevel',
  'logFormat',
  'metricsSeconds',
  'json',
] as const;

const keysSchema = z
  .array(z.strictObject({ apiKey: z.string().min(1), clientSecret: z.string().min(1).exactOptional() }))
  .min(1);
type Keys = z.infer<typeof keysSchema>;

export function registerServe(program: Command): Command {
  const command = program
    .command('serve')
    .description('be the server that Genesys Cloud’s AudioHook integration connects to');
  return addSettingOptions(command, [...settingsOf('audiohook').map(({ name }) => name), ...SETTING_NAMES], 'audiohook')
    .addHelpText(
      'after',
      `
When ready it prints one line of JSON: url and healthUrl. At Ctrl-C or SIGTERM it takes no more sessions, asks
clients to reconnect elsewhere, and closes what is left after --drain-seconds; all files are finished then.
A second signal ends it at once.

Examples:
  $ TRUNKLINE_AUDIOHOOK_API_KEY=… TRUNKLINE_AUDIOHOOK_CLIENT_SECRET=… trunkline serve --port 8080 --out capture
  $ trunkline serve --port 443 --keys keys.json --tls-cert chain.pem --tls-key key.pem --out capture`,
    )
    .action(async () => {
      const loaded = loadSettings(command);
      const { config } = loaded;
      const server = serverFrom(config);
      const { tuneHeap } = await import('../../node/heap.js');
      tuneHeap();
      const { AudioHookNode } = await import('../../node/audiohook-node.js');
      const { audiohookSilenceEvents: silenceEvents, drainSeconds } = config;
      const node = new AudioHookNode({ ...nodeConfigOf(config), server, silenceEvents, drainMs: drainSeconds * 1000 });
      await runServe(node, loaded);
    });
}

function serverFrom(config: Config): AudioHookNodeSettings['server'] {
  const { audiohookPort: port } = config;
  if (port === undefined) throw usage('Say where to listen: --port, or TRUNKLINE_AUDIOHOOK_PORT in the environment.');
  const tls = tlsFrom(config.audiohookTlsCert, config.audiohookTlsKey);
  const host = config.audiohookHost ?? (tls === undefined ? '127.0.0.1' : undefined);
  return {
    port,
    path: config.audiohookPath,
    keys: keysFrom(config),
    allowUnsigned: config.audiohookAllowUnsigned,
    startPaused: config.audiohookStartPaused,
    ...(host === undefined ? {} : { host }),
    ...(tls === undefined ? {} : { tls }),
  };
}

async function runServe(node: AudioHookNode, loaded: LoadedConfig): Promise<void> {
  const { config } = loaded;
  const view = new NodeConsole(node, loaded);
  const log = view.logger;
  const interrupted = untilInterrupted();
  log.debug(printableConfig(config), 'settings');
  logSessions(node, view);
  let failed = false;
  const engineFailed = new Promise<void>((resolve) =>
    node.once('failed', () => {
      failed = true;
      resolve();
    }),
  );
  try {
    const repaired = await node.start();
    if (repaired !== undefined && repaired.repaired.length > 0) {
      log.warn({ recordings: repaired.repaired.length }, 'mended recordings that an earlier process left');
    }
    process.stdout.write(`${JSON.stringify({ url: node.url, healthUrl: node.healthUrl })}\n`);
    const over =
      config.seconds === undefined
        ? []
        : [new Promise((resolve) => setTimeout(resolve, Number(config.seconds) * 1000))];
    await Promise.race([interrupted, engineFailed, ...over]);
    log.info({ sessions: node.status().counters.sessionsLive }, 'draining');
    await node.stop();
  } finally {
    view.close();
  }
  reportOutcome(node, config, { sessions: node.status().counters });
  if (failed) process.exitCode = 1;
}

function logSessions(node: AudioHookNode, { logger: log }: NodeConsole): void {
  node.on('sessionOpened', ({ sessionId, interactionId, media, probe, continued }) => {
    const fields = { sessionId, interactionId, format: media?.format, channels: media?.channels };
    log.debug(fields, probe ? 'connection probe' : continued ? 'session continued' : 'session opened');
  });
  node.on('sessionEnded', ({ sessionId, interactionId, endReason, fault, counts }) => {
    const fields = { sessionId, interactionId, endReason, framesReceived: counts.framesReceived };
    if (fault !== undefined) log.warn({ ...fields, fault: fault.kind, info: fault.info }, 'session ended by us');
    else if (endReason === 'lost') log.warn(fields, 'session lost: its client went without closing it');
    else log.debug(fields, 'session ended');
  });
  node.on('rejected', (rejection) => log.warn(rejection, 'request refused'));
}

function keysFrom({ audiohookKeys: file, audiohookApiKey: apiKey, audiohookClientSecret: clientSecret }: Config): Keys {
  // A key in the environment and a file do no harm to each other; secrets for nobody do.
  const keys = file === undefined ? [] : keysOf(file);
  if (apiKey !== undefined) keys.push(clientSecret === undefined ? { apiKey } : { apiKey, clientSecret });
  else if (clientSecret !== undefined) {
    throw usage('A client secret belongs to a key: give --api-key, or TRUNKLINE_AUDIOHOOK_API_KEY, as well.');
  }
  if (keys.length > 0) return keys;
  throw usage(
    'Say who may connect: --keys with a file, or --api-key with --client-secret, best by ' +
      'TRUNKLINE_AUDIOHOOK_API_KEY and TRUNKLINE_AUDIOHOOK_CLIENT_SECRET in the environment.',
  );
}

function keysOf(file: string): Keys {
  const parsed = keysSchema.safeParse(jsonOf(file));
  if (parsed.success) return parsed.data;
  // Where it is wrong, never what stands there.
  const places = parsed.error.issues.map(({ path }) => path.join('.') || 'the whole').join(', ');
  throw usage(`${file} must be a JSON list of {"apiKey": …, "clientSecret": …}; wrong there: ${places}.`);
}

function jsonOf(file: string): unknown {
  const text = textOf(file, 'keys');
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the file.
    throw usage(`${file} is not JSON; it must be a list of {"apiKey": …, "clientSecret": …}.`);
  }
}

function tlsFrom(cert: string | undefined, key: string | undefined): { cert: string; key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) throw usage('--tls-cert and --tls-key belong together; give both.');
  return { cert: textOf(cert, 'the certificate'), key: textOf(key, 'the private key') };
}

function textOf(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read ${what}: ${messageOf(error)}`, { cause: error });
  }
}

function usage(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message);
}
