import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { systemClock } from '../../../core/clock.js';
import { TrunklineError } from '../../../core/errors.js';
import { addSettingOptions, loadSettings } from '../../arguments.js';
import { printable } from '../../console/live-table.js';
import { complain, print, printJson } from '../../process/output.js';

interface Flags {
  readonly dryRun?: true;
  readonly kept?: true;
  readonly json?: true;
}

export function registerRetention(program: Command): Command {
  const command = program
    .command('retention')
    .description('print which recordings a node would delete now by its retention rules, and why')
    .option('--dry-run', 'print only; it does nothing else, since a running node deletes by itself')
    .option('--kept', 'also print those that stay, and why');
  return addSettingOptions(command, ['out', 'keepDays', 'retentionRules'])
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
A node with --keep-days or --retention-rule deletes at its start and every hour. What waits for its digest or upload
stays until that is done, which this command does not see.

Examples:
  $ trunkline retention --dry-run --out capture --keep-days 90
  $ trunkline retention --dry-run --out capture --retention-rule 'queue=Sales:days=30' --kept`,
    )
    .action(() => run(command));
}

async function run(command: Command): Promise<void> {
  const { dryRun, kept, json } = command.opts<Flags>();
  if (dryRun !== true) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      'Recordings are deleted by the node that makes them, with an entry in its audit; to see what would go, give --dry-run.',
    );
  }
  const { out, keepDays, retentionRules: rules } = loadSettings(command).config;
  if (!existsSync(out)) throw new TrunklineError('FILE_FAILED', `There is no folder ${out}; name it with --out.`);
  const { retentionPlan } = await import('../../../archive/retention/retention.js');
  const { policyOf } = await import('../../../core/retention/policy.js');
  const items: { folder: string; interactionId: string; due: boolean; why: string }[] = [];
  const counts = { due: 0, kept: 0 };
  for await (const planned of retentionPlan(out, policyOf({ keepDays, rules }), systemClock)) {
    const { folder, interactionId, isDue, why } = planned;
    counts[isDue ? 'due' : 'kept']++;
    if (!isDue && kept !== true) continue;
    if (json) items.push({ folder, interactionId, due: isDue, why });
    else print(`${printable(`${isDue ? 'delete' : 'keep  '}  ${folder}  ${why}`)}\n`);
  }
  if (json) printJson({ items, ...counts });
  else complain(`${counts.due} recordings would be deleted, ${counts.kept} stay`);
}
