import process from 'node:process';
import type { Command } from 'commander';
import { TrunklineError } from '../core/errors.js';
import type { CaptureNode } from '../node/capture-node.js';
import { printableConfig } from '../node/config.js';
import { loadConfig } from '../node/load-config.js';
import { addSettingOptions, settingsFrom } from './arguments.js';
import { untilInterrupted } from './interrupt.js';
import { NodeConsole } from './node-run.js';

export function registerCapture(program: Command): Command {
  const command = program
    .command('capture')
    .description('capture interactions from Genesys Cloud into recordings, events and audit');
  return addSettingOptions(command)
    .addHelpText(
      'after',
      `
It ends when every interaction has ended, after --seconds, or at Ctrl-C; each time with all files finished.
Recordings are <out>/<interaction>/audio.wav and session.json, the audit is <out>/audit.jsonl.

Examples:
  $ GENESYS_CLIENT_ID=… GENESYS_CLIENT_SECRET=… trunkline capture --region mypurecloud.de --interactions ID,ID
  $ trunkline capture --api-url http://127.0.0.1:8080 --media-url ws://127.0.0.1:8080/api/v2/media/streams \\
      --interactions ID --seconds 30 --json`,
    )
    .action(async () => {
      const config = loadConfig({ ...settingsFrom(command), env: process.env });
      if (config.interactions.length === 0) {
        throw new TrunklineError(
          'CONFIG_INVALID',
          'Nothing to capture: name interactions with --interactions or in TARGET_INTERACTIONS.',
        );
      }
      const { CaptureNode } = await import('../node/capture-node.js');
      await runCapture(new CaptureNode(config));
    });
}

/** Runs a node to its end, whichever comes first, and prints what came of it. */
export async function runCapture(node: CaptureNode): Promise<void> {
  const { config } = node;
  const view = new NodeConsole(node);
  const interrupted = untilInterrupted();
  view.logger.debug(printableConfig(config), 'settings');
  // Calls that Genesys ended or that we left are no failure; calls that were given up are.
  let captured = 0;
  let givenUp = 0;
  node.on('interactionEnded', ({ reason }) => {
    if (reason === 'lost' || reason === 'mediaNotAvailable' || reason === 'error') givenUp++;
  });
  node.on('streamOpened', () => captured++);
  try {
    const repaired = await node.start();
    if (repaired !== undefined && repaired.repaired.length > 0) {
      view.logger.warn({ recordings: repaired.repaired.length }, 'mended recordings that an earlier process left');
    }
    const timer = config.seconds === undefined ? undefined : delay(config.seconds * 1000);
    const failed = new Promise<void>((resolve) => node.once('failed', () => resolve()));
    await Promise.race([node.untilIdle(), interrupted, failed, ...(timer === undefined ? [] : [timer.done])]);
    timer?.cancel();
    await node.stop();
  } finally {
    view.close();
  }
  const summary = node.summary();
  if (config.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else process.stdout.write(`${node.metricsLine()}\nRecordings and audit are in ${config.out}\n`);
  if (givenUp > 0 && captured <= givenUp) process.exitCode = 1;
}

function delay(ms: number): { readonly done: Promise<void>; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const done = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return { done, cancel: () => clearTimeout(timer) };
}
