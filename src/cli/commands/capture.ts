import process from 'node:process';
import type { Command } from 'commander';
import { printableConfig } from '../../config/documents.js';
import type { LoadedConfig } from '../../config/load.js';
import { nodeConfigOf, settingsOf } from '../../config/schema.js';
import { TrunklineError } from '../../core/errors.js';
import type { CaptureNode } from '../../node/capture-node.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { NodeConsole } from '../console/node-console.js';
import { reportOutcome } from '../console/summary.js';
import { untilInterrupted } from '../process/signals.js';

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
      // From before the start on: whatever is slow or stuck then must be possible to stop, too.
      const interrupted = untilInterrupted();
      const { tuneHeap } = await import('../../node/heap.js');
      tuneHeap();
      const { CaptureNode } = await import('../../node/capture-node.js');
      await runCapture(new CaptureNode(nodeConfigOf(loaded.config)), loaded, interrupted);
    });
}

/** Runs a node to its end, whichever comes first, and prints what came of it. */
export async function runCapture(
  node: CaptureNode,
  loaded: LoadedConfig,
  interrupted: Promise<unknown>,
): Promise<void> {
  const { config } = loaded;
  const view = new NodeConsole(node, loaded);
  const timer = config.seconds === undefined ? undefined : delay(config.seconds * 1000);
  view.logger.debug(printableConfig(config), 'settings');
  // Calls that Genesys ended or that we left are no failure; calls that were given up are.
  const givenUp = new Map<string, string>();
  const opened = new Set<string>();
  node.on('interactionEnded', ({ interactionId, reason, detail }) => {
    if (reason === 'lost' || reason === 'mediaNotAvailable' || reason === 'error') givenUp.set(interactionId, detail);
  });
  node.on('streamOpened', ({ interactionId }) => opened.add(interactionId));
  let hasFailed = false;
  const failed = new Promise<void>((resolve) => {
    node.once('failed', () => {
      hasFailed = true;
      resolve();
    });
  });
  let wasInterrupted = false;
  void interrupted.then(() => {
    wasInterrupted = true;
  });
  try {
    const started = node.start();
    await Promise.race([
      started.then(() => node.untilIdle()),
      failed,
      interrupted,
      ...(timer === undefined ? [] : [timer.done]),
    ]);
    timer?.cancel();
    await node.stop();
  } finally {
    view.close();
  }
  reportOutcome(node, config);
  if (hasFailed) process.exitCode = 1;
  if (hasFailed || wasInterrupted) return;
  if (opened.size === 0 && node.config.interactions.length > 0) {
    process.stderr.write(
      `trunkline: nothing was captured: no media came from the interactions that were named (${node.config.interactions.length})\n`,
    );
    process.exitCode = 1;
  } else if ([...opened].every((id) => givenUp.has(id)) && opened.size > 0) {
    process.stderr.write('trunkline: every interaction was lost before its end; the log says why\n');
    process.exitCode = 1;
  }
}

function delay(ms: number): { readonly done: Promise<void>; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const done = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return { done, cancel: () => clearTimeout(timer) };
}
