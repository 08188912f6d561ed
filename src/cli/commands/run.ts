import type { Command } from 'commander';
import { SETTINGS } from '../../config/schema.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { sourcesOf } from '../console/compose-node.js';
import { watchSignals } from '../process/signals.js';

export function registerRun(program: Command): Command {
  const command = program.command('run').description('capture from every source that the settings name, in one node');
  return addSettingOptions(
    command,
    SETTINGS.map(({ name }) => name),
  )
    .addHelpText(
      'after',
      `
It subscribes to Genesys Cloud media when interactions, a file of them, queues or users are given, and serves AudioHook
when --audiohook-port is given; \`capture\` and \`serve\` are the same with one of the two. With AudioHook it prints one
line of JSON when ready: url and healthUrl. It ends when every interaction has ended (unless more can come), after
--seconds, or at Ctrl-C, and finishes all files. SIGTERM first lets the calls that run go on for up to --drain-seconds.
SIGHUP reads keys, tokens and certificates again and rotates the audit.

Examples:
  $ trunkline run --config node.json
  $ trunkline run --queue ID --audiohook-port 8080 --out capture`,
    )
    .action(async () => {
      const loaded = loadSettings(command);
      const sources = sourcesOf(loaded.config);
      const signals = watchSignals(loaded.config.drainSeconds + 1);
      const { runNode } = await import('../console/run-node.js');
      await runNode(loaded, sources, signals);
    });
}
