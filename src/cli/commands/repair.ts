import { existsSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import { TrunklineError } from '../../core/errors.js';
import { complain, print, printJson } from '../process/output.js';

export function registerRepair(program: Command): Command {
  return program
    .command('repair')
    .description('make the recordings of a capture that was killed open again')
    .argument('<dir>', 'folder of the capture')
    .option('--json', 'print the report as one JSON object')
    .addHelpText(
      'after',
      `
Finished recordings and those that a live process is writing are left alone; doing it twice changes nothing.

Example:
  $ trunkline repair capture`,
    )
    .action(async (dir: string, { json }: { json?: true }) => {
      if (!existsSync(dir)) {
        throw new TrunklineError('FILE_FAILED', `There is no folder ${dir}; name the one given to capture as --out.`);
      }
      const { repairRecordings } = await import('../../sinks/recorder/repair.js');
      const report = await repairRecordings(dir);
      const { recordings, repaired, live, failed } = report;
      if (json) {
        printJson(report);
      } else {
        for (const folder of repaired) print(`repaired ${folder}\n`);
        for (const folder of live) print(`left alone ${folder}: it is being written\n`);
        const counts = `${repaired.length} repaired, ${live.length} live, ${failed.length} failed`;
        print(`${recordings} recordings: ${counts}\n`);
      }
      for (const { folder, message } of failed) complain(`${folder}: ${message}`);
      if (failed.length > 0) process.exitCode = 1;
    });
}
