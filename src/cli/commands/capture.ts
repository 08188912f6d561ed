import type { Command } from 'commander';
import { settingsOf } from '../../config/schema.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { requireInteractions } from '../console/compose-node.js';
import { watchSignals } from '../process/signals.js';

/** `run` with the Genesys Cloud subscription as its only source. */
export function registerCapture(program: Command): Command {
  const command = program
    .command('capture')
    .description('capture interactions from Genesys Cloud into recordings, events and audit');
  const names = settingsOf(
    'genesys',
    'engine',
    'recording',
    'attribute',
    'audit',
    'archive',
    'control',
    'webhook',
    'operation',
  ).map(({ name }) => name);
  return addSettingOptions(command, names)
    .addHelpText(
      'after',
      `
It ends when every interaction has ended (unless queues, users or a file are followed), after --seconds, or at Ctrl-C.
SIGTERM first lets the calls that run go on for up to --drain-seconds.
All files are finished then. Recordings are <out>/<interaction>/audio.wav and session.json, the audit is
<out>/audit.jsonl. SIGHUP reads tokens and certificates again and rotates the audit.

Examples:
  $ GENESYS_CLIENT_ID=… GENESYS_CLIENT_SECRET=… trunkline capture --region mypurecloud.de --interactions ID,ID
  $ trunkline capture --queue ID --queue ID --user ID
  $ trunkline capture --api-url http://127.0.0.1:8080 --media-url ws://127.0.0.1:8080/api/v2/media/streams \\
      --interactions ID --seconds 30 --json`,
    )
    .action(async () => {
      const loaded = loadSettings(command);
      requireInteractions(loaded.config);
      const signals = watchSignals(loaded.config.drainSeconds + 1);
      const { runNode } = await import('../console/run-node.js');
      await runNode(loaded, ['genesys'], signals);
    });
}
