import type { Command } from 'commander';
import type { LoadedConfig } from '../../config/load.js';
import { nodeConfigOf, settingsOf } from '../../config/schema.js';
import type { AudioHookNode } from '../../node/audiohook-node.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { audioHookOptions } from '../audiohook-options.js';
import type { Logger } from '../console/logger.js';
import { runNode } from '../console/run-node.js';
import { print } from '../process/output.js';
import { watchSignals } from '../process/signals.js';

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
      const server = audioHookOptions(config);
      const { AudioHookNode } = await import('../../node/audiohook-node.js');
      const { audiohookSilenceEvents: silenceEvents, drainSeconds } = config;
      const settings = { ...nodeConfigOf(config), server, silenceEvents, drainMs: drainSeconds * 1000 };
      await runServe((logger) => new AudioHookNode({ ...settings, logger }), loaded);
    });
}

async function runServe(makeNode: (logger: Logger) => AudioHookNode, loaded: LoadedConfig): Promise<void> {
  await runNode(makeNode, loaded, watchSignals(loaded.config.drainSeconds + 1), {
    onStarted: (node) => print(`${JSON.stringify({ url: node.url, healthUrl: node.healthUrl })}\n`),
    extra: (node) => ({ sessions: node.status().counters }),
  });
}
