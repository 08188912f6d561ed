import type { Command } from 'commander';
import { settingsOf } from '../../config/schema.js';
import { TrunklineError } from '../../core/errors.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { complain, print, printJson } from '../process/output.js';
import { webhookDirectory, webhookOptions } from '../webhook-options.js';

/** What `replay` gives a receiver to accept the notifications that are put back. */
const REPLAY_MS = 60_000;

/** Lists the notifications that were given up, and puts them back. */
export function registerWebhooks(program: Command): Command {
  const command = program.command('webhooks').description('list or deliver again notifications that were given up');
  const names = [...settingsOf('webhook').map(({ name }) => name), 'out', 'caFile'] as const;
  const listing = command.command('list').description('print the notifications that were given up, the oldest first');
  addSettingOptions(listing, ['out', 'webhookDirectory'])
    .option('--json', 'print them as one JSON array')
    .action(async ({ json }: { json?: true }) => list(listing, json === true));
  const replaying = command.command('replay').description('deliver them again, with the ids that they had');
  addSettingOptions(replaying, names).action(() => replay(replaying));
  return command.addHelpText(
    'after',
    `
What the receiver does not accept within a minute waits in the folder for the next node, or the next replay.

Examples:
  $ trunkline webhooks list --out capture
  $ TRUNKLINE_WEBHOOK_SECRET=… trunkline webhooks replay --out capture --webhook-url https://example.com/hooks`,
  );
}

async function list(command: Command, isJson: boolean): Promise<void> {
  const { readDeadLetters } = await import('../../webhooks/queue/dead-letters.js');
  const letters = await readDeadLetters(webhookDirectory(loadSettings(command).config));
  if (isJson) {
    printJson(letters);
    return;
  }
  for (const { id, type, createdAtMs, attempts, reason } of letters) {
    print(`${id}  ${type.padEnd(22)} ${new Date(createdAtMs).toISOString()}  ${attempts} attempts: ${reason}\n`);
  }
  complain(`${letters.length} notifications were given up`);
}

async function replay(command: Command): Promise<void> {
  const options = webhookOptions(loadSettings(command).config);
  if (options === undefined) {
    throw new TrunklineError('CONFIG_INVALID', 'Give the address of the receiver with --webhook-url.');
  }
  const { deliverDuring } = await import('../../webhooks/short-lived.js');
  const { takeDeadLetters } = await import('../../webhooks/queue/dead-letters.js');
  const report = await deliverDuring(
    options,
    REPLAY_MS,
    async (delivery) => {
      await takeDeadLetters(options.directory, async (messages) => {
        for (const message of messages) delivery.enqueue(message);
        await delivery.written();
      });
    },
    complain,
  );
  print(`${report.delivered} delivered, ${report.waiting} wait\n`);
  if (report.waiting > 0) throw new TrunklineError('CONNECTION_FAILED', `Some were not accepted: ${report.reason}.`);
}
