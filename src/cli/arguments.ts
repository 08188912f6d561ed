import { type Command, InvalidArgumentError, Option } from 'commander';
import { SETTINGS, type Setting, type SettingName } from '../config/schema.js';
import { TrunklineError } from '../core/errors.js';

/** A parser for an option's value that is a number within bounds. */
export function numberFrom(min: number, max: number, kind: 'whole' | 'any' = 'whole'): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= min && value <= max && (kind === 'any' || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(
      `It must be a ${kind === 'whole' ? 'whole number' : 'number'} from ${min} to ${max}.`,
    );
  };
}

/** Which settings each command takes from its command line. */
const taken = new WeakMap<Command, readonly Setting[]>();

/**
 * Adds `--config` and the options of the settings named, in that order. What they mean is read by `settingsFrom`. Where
 * the command has an option of that name already, that one stands, and the setting is not taken from the command line.
 */
export function addSettingOptions(command: Command, names: readonly SettingName[]): Command {
  const own = new Set(command.options.map((option) => option.attributeName()));
  const settings = names
    .flatMap((name) => SETTINGS.filter((setting) => setting.name === name))
    .filter((setting) => !own.has(attributeOf(setting)));
  command.option('--config <file>', 'read settings from this JSON file');
  for (const option of settings.flatMap(optionsOf)) command.addOption(option);
  taken.set(command, settings);
  return command;
}

function optionsOf(setting: Setting): Option[] {
  if (setting.secret === 'refused') return [secretRefusal(setting)];
  const about = `${setting.description} (${[setting.env, setting.defaultText].filter((word) => word !== '').join('; ')})`;
  if (setting.kind === 'switch') {
    const on = new Option(setting.flag, about);
    const off = new Option(setting.flag.replace('--', '--no-'), about);
    // Help shows the form that changes something; the other overrides the environment or the file.
    return setting.default === true ? [on.hideHelp(), off] : [on, off.hideHelp()];
  }
  const option = new Option(`${setting.flag} <${setting.value}>`, about);
  if (setting.kind === 'list') option.argParser((text: string, before?: string[]) => [...(before ?? []), text]);
  return [option];
}

/** The option's name as commander has it. */
function attributeOf({ flag }: Setting): string {
  return new Option(flag).attributeName();
}

/** Arguments can be read by every user of the machine, and shells write them into their history. */
function secretRefusal({ flag, env }: Setting): Option {
  return new Option(`${flag} [value]`).hideHelp().argParser((): never => {
    // Not an InvalidArgumentError: its message would repeat the secret.
    throw new TrunklineError('CONFIG_INVALID', `${flag} is not taken, for command lines are no secret: set ${env}.`);
  });
}

/** What of a command's options came from the command line, and the configuration file that it named. */
export function settingsFrom(command: Command): { flags: Record<string, unknown>; configFile: string | undefined } {
  const flags: Record<string, unknown> = {};
  for (const setting of taken.get(command) ?? []) {
    const attribute = attributeOf(setting);
    if (command.getOptionValueSource(attribute) === 'cli') flags[setting.name] = command.getOptionValue(attribute);
  }
  const file: unknown = command.getOptionValue('config');
  return { flags, configFile: typeof file === 'string' ? file : undefined };
}
