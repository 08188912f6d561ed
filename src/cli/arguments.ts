import { type Command, InvalidArgumentError, Option } from 'commander';
import { SETTINGS, type Setting, type SettingName } from '../node/config.js';

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

/** Adds `--config` and the options of the settings named, or of all. What they mean is read by `settingsFrom`. */
export function addSettingOptions(command: Command, names?: readonly SettingName[]): Command {
  command.option('--config <file>', 'read settings from this JSON file');
  for (const setting of SETTINGS) {
    if (names !== undefined && !names.includes(setting.name)) continue;
    for (const option of optionsOf(setting)) command.addOption(option);
  }
  return command;
}

function optionsOf(setting: Setting): Option[] {
  if (setting.flag === undefined) return [secretRefusal(setting)];
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

/** Arguments can be read by every user of the machine, and shells write them into their history. */
function secretRefusal(setting: Setting): Option {
  const flag = `--${setting.name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
  return new Option(`${flag} [value]`).hideHelp().argParser((): never => {
    throw new InvalidArgumentError(`A secret does not belong on a command line: set ${setting.env} instead.`);
  });
}

/** What of a command's options came from the command line, and the configuration file that it named. */
export function settingsFrom(command: Command): { flags: Record<string, unknown>; configFile: string | undefined } {
  const flags: Record<string, unknown> = {};
  for (const { name } of SETTINGS) {
    if (command.getOptionValueSource(name) === 'cli') flags[name] = command.getOptionValue(name);
  }
  const file: unknown = command.getOptionValue('config');
  return { flags, configFile: typeof file === 'string' ? file : undefined };
}
