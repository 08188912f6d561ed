import type { Command } from 'commander';
import { configFileSchema, effectiveSettings, effectiveText, settingsMarkdown } from '../../config/documents.js';
import { SETTINGS } from '../../config/schema.js';
import { addSettingOptions, loadSettings } from '../arguments.js';
import { complain, print, printJson } from '../process/output.js';

interface Flags {
  readonly schema?: true;
  readonly markdown?: true;
  readonly json?: true;
}

export function registerConfig(program: Command): Command {
  const command = program
    .command('config')
    .description('print the effective settings and where each came from')
    // Before addSettingOptions: the command's own options win over settings of the same name.
    .option('--schema', 'print the JSON Schema of the configuration file instead')
    .option('--markdown', 'print the table of all settings as Markdown instead')
    .option('--json', 'print the effective settings as one JSON object');
  return addSettingOptions(
    command,
    SETTINGS.map(({ name }) => name),
  )
    .addHelpText(
      'after',
      `
Secrets are printed as (set). With the flags, environment and file of another command, it shows what that command
would use.

Examples:
  $ trunkline config --config node.json --shards 4
  $ trunkline config --schema > trunkline.schema.json`,
    )
    .action(({ schema, markdown, json }: Flags) => {
      if (schema) print(`${JSON.stringify(configFileSchema(), null, 2)}\n`);
      else if (markdown) print(`${settingsMarkdown()}\n`);
      else printEffective(command, json === true);
    });
}

function printEffective(command: Command, json: boolean): void {
  const { config, origins, warnings } = loadSettings(command);
  const effective = effectiveSettings(config, origins);
  if (json) printJson(effective);
  else print(`${effectiveText(effective)}\n`);
  for (const warning of warnings) complain(warning);
}

/** The name of `config --markdown` in the release before. */
export function registerSettings(program: Command): Command {
  return program.command('settings', { hidden: true }).action(() => {
    print(`${settingsMarkdown()}\n`);
  });
}
