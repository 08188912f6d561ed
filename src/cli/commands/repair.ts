import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.js';
import { TrunklineError } from '../../core/errors.js';
import type { AuditLog } from '../../sinks/audit/audit-log.js';
import { complain, print, printJson } from '../process/output.js';

export function registerRepair(program: Command): Command {
  return program
    .command('repair')
    .description('complete the recordings of a capture that was killed')
    .argument('<dir>', 'folder of the capture')
    .option('--json', 'print the report as one JSON object')
    .addHelpText(
      'after',
      `
Finished recordings and those that a live process is writing are left alone; doing it twice changes nothing.
An audit in that folder gets an entry for each repaired recording.

Example:
  $ trunkline repair capture`,
    )
    .action(async (dir: string, { json }: { json?: true }) => {
      if (!existsSync(dir)) {
        throw new TrunklineError('FILE_FAILED', `There is no folder ${dir}; name the one given to capture as --out.`);
      }
      const { repairRecordings } = await import('../../sinks/recorder/repair.js');
      const audit = await openAudit(dir);
      const report = await repairRecordings(dir, {
        onRepaired: ({ interactionId, durationMs }) =>
          audit?.event('recording_repaired', interactionId, {
            reason: 'interrupted',
            ...(durationMs === undefined ? {} : { durationMs }),
          }),
      });
      await audit?.close();
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

/** The audit of the capture, where it has one; with the key and the region of the environment. */
async function openAudit(dir: string): Promise<AuditLog | undefined> {
  const file = join(dir, 'audit.jsonl');
  if (!existsSync(file)) return undefined;
  const { auditKey, region } = loadConfig({ env: process.env }).config;
  const { AuditLog } = await import('../../sinks/audit/audit-log.js');
  const audit = new AuditLog({
    file,
    region,
    ...(auditKey === undefined ? {} : { idKey: auditKey }),
    onFault: complain,
  });
  await audit.open();
  return audit;
}
