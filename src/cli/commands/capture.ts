import type { Command } from 'commander';
import type { LoadedConfig } from '../../config/load.js';
import { nodeConfigOf, settingsOf } from '../../config/schema.js';
import { TrunklineError } from '../../core/errors.js';
import type { CaptureNode } from '../../node/capture-node.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import type { Logger } from '../console/logger.js';
import { runNode } from '../console/run-node.js';
import { type Interruption, watchSignals } from '../process/signals.js';

export function registerCapture(program: Command): Command {
  const command = program
    .command('capture')
    .description('capture interactions from Genesys Cloud into recordings, events and audit');
  const names = settingsOf('genesys', 'engine', 'recording', 'audit', 'operation').map(({ name }) => name);
  return addSettingOptions(command, names)
    .addHelpText(
      'after',
      `
It ends when every interaction has ended (not when queues, users or a file are followed), after --seconds, or at Ctrl-C; each time with all files finished.
Recordings are <out>/<interaction>/audio.wav and session.json, the audit is <out>/audit.jsonl.

Examples:
  $ GENESYS_CLIENT_ID=… GENESYS_CLIENT_SECRET=… trunkline capture --region mypurecloud.de --interactions ID,ID
  $ trunkline capture --queue ID --queue ID --user ID
  $ trunkline capture --api-url http://127.0.0.1:8080 --media-url ws://127.0.0.1:8080/api/v2/media/streams \\
      --interactions ID --seconds 30 --json`,
    )
    .action(async () => {
      const loaded = loadSettings(command);
      const { interactions, queues, users, interactionsFile } = loaded.config;
      if (interactions.length + queues.length + users.length === 0 && interactionsFile === undefined) {
        throw new TrunklineError(
          'CONFIG_INVALID',
          'Nothing to capture: name interactions with --interactions or in TARGET_INTERACTIONS, a file of them with ' +
            '--interactions-file, or queues and users whose calls to follow with --queue and --user.',
        );
      }
      // Before the start, which may be slow or hang: it must be possible to stop it, too.
      const interruption = watchSignals(loaded.config.drainSeconds + 1);
      const { CaptureNode } = await import('../../node/capture-node.js');
      const config = nodeConfigOf(loaded.config);
      await runCapture((logger) => new CaptureNode({ ...config, logger }), loaded, interruption);
    });
}

/** Runs a capture node, and fails when nothing was captured or every call was lost. */
export async function runCapture(
  makeNode: (logger: Logger) => CaptureNode,
  loaded: LoadedConfig,
  interruption: Interruption,
): Promise<void> {
  // Calls that Genesys ended or that we left are no failure; calls that were given up are.
  const givenUp = new Map<string, string>();
  const opened = new Set<string>();
  const makeWatched = (logger: Logger): CaptureNode => {
    const node = makeNode(logger);
    node.on('interactionEnded', ({ interactionId, reason, detail }) => {
      if (reason === 'lost' || reason === 'mediaNotAvailable' || reason === 'error') givenUp.set(interactionId, detail);
    });
    return node.on('streamOpened', ({ interactionId }) => opened.add(interactionId));
  };
  await runNode(makeWatched, loaded, interruption, {
    untilDone: (node) => node.untilIdle(),
    failure: (node) => {
      const named = node.config.interactions.length;
      if (opened.size === 0 && named > 0) {
        return `nothing was captured: no media came from the interactions that were named (${named})`;
      }
      const allLost = opened.size > 0 && [...opened].every((id) => givenUp.has(id));
      return allLost ? 'every interaction was lost before its end; the log says why' : undefined;
    },
  });
}
