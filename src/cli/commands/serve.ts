import type { Command } from 'commander';
import { type SettingName, settingsOf } from '../../config/schema.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { watchSignals } from '../process/signals.js';

/** Of the other settings, those that apply to streams that arrive in order. */
const SETTING_NAMES: readonly SettingName[] = [
  ...settingsOf('recording', 'attribute', 'archive', 'control', 'webhook').map(({ name }) => name),
  'seconds',
  'drainSeconds',
  'shards',
  'maxStreams',
  'silenceDetector',
  'silenceThreshold',
  'silenceWindowMs',
  'includeSilent',
  'oneWaySeconds',
  'audit',
  'auditKey',
  'auditSigningKey',
  'auditMaxMegabytes',
  'auditDaily',
  'region',
  'native',
  'logLevel',
  'logFormat',
  'metricsSeconds',
  'json',
];

/** `run` with the AudioHook server as its only source. */
export function registerServe(program: Command): Command {
  const command = program
    .command('serve')
    .description('run the server that the AudioHook integration of Genesys Cloud connects to');
  return addSettingOptions(command, [...settingsOf('audiohook').map(({ name }) => name), ...SETTING_NAMES], 'audiohook')
    .addHelpText(
      'after',
      `
When ready it prints one line of JSON: url and healthUrl. At Ctrl-C or SIGTERM it accepts no more sessions, asks clients
to reconnect elsewhere, closes what is left after --drain-seconds, finishes all files and ends. A second signal ends it at
once. SIGHUP reads keys, tokens and certificates again and rotates the audit.

Examples:
  $ TRUNKLINE_AUDIOHOOK_API_KEY=… TRUNKLINE_AUDIOHOOK_CLIENT_SECRET=… trunkline serve --port 8080 --out capture
  $ trunkline serve --port 443 --keys keys.json --tls-cert chain.pem --tls-key key.pem --out capture`,
    )
    .action(async () => {
      const loaded = loadSettings(command);
      const signals = watchSignals(loaded.config.drainSeconds + 1);
      const { runNode } = await import('../console/run-node.js');
      await runNode(loaded, ['audiohook'], signals);
    });
}
