import process from 'node:process';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type LoadedConfig, loadConfig } from '../config/load.js';
import { SETTINGS, type Setting, type SettingName } from '../config/schema.js';
import { GROUPS } from '../config/setting.js';
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

/** The same for a share: `0.02` or `2%`. */
export function shareFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const [, number = ''] = /^\s*(\d*\.?\d+(?:e[+-]?\d+)?)\s*%?\s*$/i.exec(text) ?? [];
    const value = number === '' ? Number.NaN : Number(number) / (text.includes('%') ? 100 : 1);
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a share from ${min} to ${max}, or from ${min * 100}% to ${max * 100}%.`);
  };
}

/** The settings that a command takes from its command line, each with the flags that it may have. */
const settingFlags = new WeakMap<
  Command,
  readonly { readonly setting: Setting; readonly flags: readonly string[] }[]
>();

/**
 * Adds `--config` and the options of the settings named, in that order. What they mean is read by `settingsFrom`. Where
 * the command has an option of that name already, the setting is not taken from the command line.
 *
 * @param source `serve` has the server's short flags, such as `--port`, beside `--audiohook-port`.
 */
export function addSettingOptions(command: Command, names: readonly SettingName[], source?: 'audiohook'): Command {
  const own = new Set(command.options.map((option) => option.attributeName()));
  command.option('--config <file>', 'read settings from this JSON file');
  const added = names
    .flatMap((name) => SETTINGS.filter((setting) => setting.name === name))
    .filter((setting) => !own.has(attributeOf(setting.flag)))
    .map((setting) => {
      const short = setting.group === source ? setting.shortFlag : undefined;
      const flags = [short, setting.flag, setting.former?.flag].filter((flag) => flag !== undefined);
      for (const [index, flag] of flags.entries()) {
        // Help shows one of them.
        for (const option of optionsOf(setting, flag)) command.addOption(index === 0 ? option : option.hideHelp());
      }
      return { setting, flags };
    });
  settingFlags.set(command, added);
  return command;
}

function optionsOf(setting: Setting, flag: string): Option[] {
  if (setting.secret === 'refused') return [secretRefusal(setting)];
  // The flag of a switch that is on by default switches it off, as its variable does with that value.
  const isOn = setting.kind === 'switch' && setting.default === true;
  const notes = isOn
    ? [`${setting.env}=off`]
    : [setting.defaultText === '' ? '' : `default: ${setting.defaultText}`, setting.env];
  const about = (description: string) => `${description} (${notes.filter((note) => note !== '').join('; ')})`;
  const heading = `${GROUPS[setting.group]}:`;
  if (setting.kind === 'switch') {
    const on = new Option(flag, about(setting.description)).helpGroup(heading);
    const off = new Option(flag.replace('--', '--no-'), about(setting.offDescription ?? setting.description)).helpGroup(
      heading,
    );
    // Help shows the form that changes something; the other overrides the environment or the file.
    return setting.default === true ? [on.hideHelp(), off] : [on, off.hideHelp()];
  }
  const option = new Option(`${flag} <${setting.value}>`, about(setting.description)).helpGroup(heading);
  // Not choices(), which would check them as well: the schema does.
  if (setting.choices.length > 0) option.argChoices = [...setting.choices];
  if (setting.kind === 'list') option.argParser((text: string, before?: string[]) => [...(before ?? []), text]);
  return [option];
}

/** The option's name as commander has it. */
function attributeOf(flag: string): string {
  return new Option(flag).attributeName();
}

/** Arguments can be read by every user of the machine, and shells write them into their history. */
function secretRefusal({ flag, env }: Setting): Option {
  return new Option(`${flag} [value]`).hideHelp().argParser((): never => {
    // Not an InvalidArgumentError: its message would repeat the secret.
    throw new TrunklineError(
      'CONFIG_INVALID',
      `${flag} is refused, because other users can read command lines: set ${env} in the environment.`,
    );
  });
}

/**
 * The effective settings of a command: its flags, the environment, `.env` and the file of `--config`.
 *
 * @throws TrunklineError CONFIG_INVALID
 */
export function loadSettings(command: Command): LoadedConfig {
  const flags: Record<string, unknown> = {};
  const flagNames: Record<string, string> = {};
  for (const { setting, flags: names } of settingFlags.get(command) ?? []) {
    const used = names.find((flag) => command.getOptionValueSource(attributeOf(flag)) === 'cli');
    if (used === undefined) continue;
    flags[setting.name] = command.getOptionValue(attributeOf(used));
    flagNames[setting.name] = used;
  }
  const file: unknown = command.getOptionValue('config');
  return loadConfig({ flags, flagNames, env: process.env, configFile: typeof file === 'string' ? file : undefined });
}
