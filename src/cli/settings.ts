import process from 'node:process';
import type { Command } from 'commander';
import { configTable } from '../config/schema.js';

export function registerSettings(program: Command): Command {
  return program
    .command('settings')
    .description('list every setting with its names, its default and what it does, as Markdown')
    .action(() => {
      process.stdout.write(`${configTable()}\n`);
    });
}
