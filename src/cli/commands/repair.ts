import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.js';
import type { Config } from '../../config/schema.js';
import { TrunklineError } from '../../core/errors.js';
import type { AuditLog } from '../../sinks/audit/audit-log.js';
import type { RepairedRecording, RepairReport } from '../../sinks/recorder/repair.js';
import { complain, print, printJson } from '../process/output.js';
import { webhookOptions } from '../webhook-options.js';

/** What the receiver of webhooks is given to accept the notifications of a repair. */
const DELIVERY_MS = 10_000;

export function registerRepair(program: Command): Command {
  return program
    .command('repair')
    .description('complete the recordings of a capture that was killed')
    .argument('<dir>', 'folder of the capture')
    .option('--json', 'print the report as one JSON object')
    .addHelpText(
      'after',
      `
A folder that a node writes is refused: the node has repaired it at its start. Finished recordings and those that a live
process is writing are left alone; doing it twice changes nothing.
An audit in that folder gets an entry for each repaired recording, and so does the receiver of webhooks, where
TRUNKLINE_WEBHOOK_URL and TRUNKLINE_WEBHOOK_SECRET are set.

Example:
  $ trunkline repair capture`,
    )
    .action(async (dir: string, { json }: { json?: true }) => {
      if (!existsSync(dir)) {
        throw new TrunklineError('FILE_FAILED', `There is no folder ${dir}; name the one given to capture as --out.`);
      }
      const { config } = loadConfig({ env: process.env });
      const { FolderLock } = await import('../../core/files/folder-lock.js');
      const lock = await FolderLock.acquire(dir, { onLost: ({ message }) => complain(message) });
      const report = await repair(dir, { ...config, out: dir }).finally(() => lock.release());
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

/** Repairs, and tells the audit and the receiver of webhooks; both as the environment says. */
async function repair(dir: string, config: Config): Promise<RepairReport> {
  const { repairedFields, repairRecordings } = await import('../../sinks/recorder/repair.js');
  const webhook = webhookOptions(config);
  const audit = await openAudit(dir, config);
  const run = (tell: (recording: RepairedRecording) => void): Promise<RepairReport> =>
    repairRecordings(dir, {
      onRepaired: (recording) => {
        audit?.event('recording_repaired', recording.interactionId, repairedFields(recording));
        tell(recording);
      },
    });
  try {
    if (webhook === undefined) return await run(() => {});
    const { deliverDuring } = await import('../../webhooks/short-lived.js');
    const { result, waiting } = await deliverDuring(
      webhook,
      DELIVERY_MS,
      (delivery) => run((one) => delivery.notify('recording.repaired', one, one.interactionId)),
      complain,
    );
    if (waiting > 0) complain(`${waiting} notifications wait in ${webhook.directory} for the next node`);
    return result;
  } finally {
    await audit?.close();
  }
}

/** The audit of the capture, where it has one; with the key and the region of the environment. */
async function openAudit(dir: string, { auditKey, region }: Config): Promise<AuditLog | undefined> {
  const file = join(dir, 'audit.jsonl');
  if (!existsSync(file)) return undefined;
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
