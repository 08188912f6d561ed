import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { SETTINGS } from '../../src/config/schema.js';
import { GROUPS } from '../../src/config/setting.js';

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

const commands = allCommands(createProgram());

function helpOf(name: string): string {
  const command = commands.find((one) => one.name() === name);
  if (command === undefined) throw new Error(`There is no command ${name}.`);
  // One line for each option, however long.
  return command.configureHelp({ helpWidth: 10_000 }).helpInformation();
}

describe('--help', () => {
  test('lists the choices of every setting that has them', () => {
    const help = helpOf('run');
    const withChoices = SETTINGS.filter(({ choices }) => choices.length > 0);
    expect(withChoices.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['codecs', 'opusSampleRate', 'native', 'audit', 'logLevel', 'logFormat']),
    );
    for (const { flag, choices } of withChoices) {
      const line = help.split('\n').find((one) => one.trimStart().startsWith(`${flag} `));
      expect(line, flag).toContain(`(choices: ${choices.map((choice) => `"${choice}"`).join(', ')})`);
    }
  });

  test('lists the choices of every other option that has them, in every command', () => {
    for (const command of commands) {
      const help = command.configureHelp({ helpWidth: 10_000 }).helpInformation();
      for (const { long, argChoices, hidden } of command.options) {
        if (argChoices === undefined || hidden) continue;
        const line = help.split('\n').find((one) => one.includes(`${long} `));
        for (const choice of argChoices) expect(line, `${command.name()} ${long}`).toContain(`"${choice}"`);
      }
    }
  });

  test('groups settings, and shows every one that may be on the command line', () => {
    const help = helpOf('run');
    for (const heading of Object.values(GROUPS)) expect(help).toContain(`\n${heading}:\n`);
    for (const { flag, secret, kind, default: value } of SETTINGS) {
      const shown = kind === 'switch' && value === true ? flag.replace('--', '--no-') : flag;
      if (secret === 'refused') expect(help).not.toContain(`${shown} `);
      else expect(help).toMatch(new RegExp(`^ +${shown}( |$)`, 'm'));
    }
    expect(help).not.toContain('--hold-ms');
  });

  test('says what --no-record does', () => {
    expect(helpOf('capture')).toMatch(/--no-record +Write no recordings: no sound is stored\./);
  });

  test('has the short flags of the server in serve, the long ones in run', () => {
    expect(helpOf('serve')).toMatch(/^ +--port <n>/m);
    expect(helpOf('serve')).not.toMatch(/^ +--audiohook-port/m);
    expect(helpOf('run')).toMatch(/^ +--audiohook-port <n>/m);
  });

  test('describes every command and every option', () => {
    for (const command of commands) {
      if (command.name() !== 'settings') expect(command.description(), command.name()).not.toBe('');
      for (const { long, description, hidden } of command.options) {
        if (!hidden) expect(description, `${command.name()} ${long}`).not.toBe('');
      }
    }
  });
});
