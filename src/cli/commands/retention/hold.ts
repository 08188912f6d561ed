import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { type Command, Option } from 'commander';
import type { HoldChange } from '../../../archive/retention/legal-holds.js';
import { systemClock } from '../../../core/clock.js';
import { TrunklineError } from '../../../core/errors.js';
import { addSettingOptions, loadSettings } from '../../arguments.js';
import { printable } from '../../console/live-table.js';
import { complain, print, printJson } from '../../process/output.js';

interface Flags {
  readonly interaction?: string;
  readonly tag?: string;
  readonly reason?: string;
}

export function registerHold(program: Command): Command {
  const command = program.command('hold').description('keep recordings from being deleted, or no longer: legal holds');
  for (const action of ['add', 'remove'] as const) {
    const description =
      action === 'add' ? 'from now on, delete no recording of an interaction or with a tag' : 'end a legal hold';
    const changing = command.command(action).description(description);
    addSettingOptions(changing, ['out', 'fileMode'])
      .addOption(new Option('--interaction <id>', 'of this interaction').conflicts('tag'))
      .option('--tag <tag>', 'with this tag')
      .option('--reason <text>', 'kept with it, and in the audit')
      .action(() => change(changing, action));
  }
  const listing = command.command('list').description('print the legal holds that are in force');
  addSettingOptions(listing, ['out'])
    .option('--json', 'print them as one JSON array')
    .action(({ json }: { json?: true }) => list(listing, json === true));
  return command.addHelpText(
    'after',
    `
Legal holds are kept in the output folder. A running node obeys a change at once and enters it into its audit; one that
is made while none runs is entered at the next start.

Examples:
  $ trunkline hold add --out capture --interaction ID --reason 'case 4711'
  $ trunkline hold add --out capture --tag claim
  $ trunkline hold list --out capture`,
  );
}

async function change(command: Command, action: HoldChange['action']): Promise<void> {
  const { interaction, tag, reason } = command.opts<Flags>();
  const value = interaction ?? tag;
  if (value === undefined) throw new TrunklineError('CONFIG_INVALID', 'Name what is held with --interaction or --tag.');
  const { out, fileMode } = loadSettings(command).config;
  checkFolder(out);
  const { changeHold } = await import('../../../archive/retention/legal-holds.js');
  const kind = interaction === undefined ? 'tag' : 'interaction';
  const since = new Date(systemClock.wallMs()).toISOString();
  const by = userInfo().username;
  const isNew = changeHold(
    out,
    { action, kind, value, since, by, ...(reason === undefined ? {} : { reason }) },
    Number.parseInt(fileMode, 8),
  );
  const what = `the ${kind} ${value}`;
  if (action === 'add') complain(isNew ? `${what} is held from now on` : `${what} was held already`);
  else complain(isNew ? `${what} is no longer held` : `${what} was not held`);
}

async function list(command: Command, isJson: boolean): Promise<void> {
  const { out } = loadSettings(command).config;
  checkFolder(out);
  const { readHolds } = await import('../../../archive/retention/legal-holds.js');
  const { holds } = readHolds(out);
  if (isJson) {
    printJson(holds);
    return;
  }
  for (const { kind, value, since, by, reason = '' } of holds) {
    print(`${printable(`${kind.padEnd(11)}  ${value}  since ${since} by ${by}  ${reason}`.trimEnd())}\n`);
  }
  complain(`${holds.length} legal holds are in force`);
}

function checkFolder(out: string): void {
  if (!existsSync(out)) throw new TrunklineError('FILE_FAILED', `There is no folder ${out}; name it with --out.`);
}
