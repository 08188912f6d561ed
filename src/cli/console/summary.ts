import process from 'node:process';
import { CommanderError } from 'commander';
import type { Config } from '../../config/schema.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { NodeSummary } from '../../node/summary.js';
import { complain, print, printJson } from '../process/output.js';

/** The summary of a node with the calls that were given up; the object that `--json` prints. */
export interface CommandSummary extends NodeSummary {
  readonly callsGivenUp: number;
  readonly givenUp: readonly { readonly interactionId: string; readonly reason: string; readonly detail: string }[];
  /** Why the command failed; absent when it did not. */
  readonly failure?: string;
}

/**
 * Prints the summary of a node that has stopped: sentences or, with `--json`, one object. Audio or audit entries that
 * could not be written make the exit code 1.
 */
export function reportSummary(
  summary: CommandSummary,
  { json, record, audit, out }: Pick<Config, 'json' | 'record' | 'audit' | 'out'>,
): void {
  if (json) printJson(summary);
  else print(`${[...sentences(summary), ...placeOfFiles(record, audit !== 'off', out)].join('\n')}\n`);
  const { recordingsIncomplete: incomplete, auditEntriesLost: lost } = summary;
  if (incomplete > 0) {
    fail(`${incomplete} recordings are incomplete: a part of their audio could not be written; see their session.json`);
  }
  if (lost > 0) fail(`${lost} entries of the audit could not be written`);
}

/** Says why the command failed, and makes its exit code 1. */
export function fail(sentence: string): void {
  complain(sentence);
  process.exitCode = 1;
}

/** An error as `--json` prints it. */
export function errorObject(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof TrunklineError) return { code: error.code, message: error.message };
  // The message of an error in the command line may repeat a secret.
  if (error instanceof CommanderError) return { code: 'CONFIG_INVALID', message: 'The command line is wrong.' };
  return { code: 'INTERNAL', message: messageOf(error) };
}

function sentences(summary: CommandSummary): string[] {
  const {
    streams,
    packetsReceived,
    packetsLost,
    packetsLate,
    packetsRepaired,
    packetsDropped,
    decodeErrors,
    latencyMicros,
  } = summary;
  const ms = (us: number): string => `${(us / 1000).toFixed(1)} ms`;
  const refused = Object.entries(summary.refused).map(([reason, count]) => `${reason} ${count}`);
  const givenUp = summary.givenUp.map(({ interactionId, reason, detail }) => {
    return `  ${interactionId}: ${reason}${detail === '' ? '' : `, ${detail}`}`;
  });
  const more = summary.callsGivenUp - givenUp.length;
  return [
    `${streams} ${streams === 1 ? 'stream' : 'streams'}: ${packetsReceived} packets received, ${packetsLost} lost, ${packetsLate} late ` +
      `(${packetsRepaired} of them recorded), ` +
      `${packetsDropped} dropped, ${decodeErrors} decode errors; latency p50 ${ms(latencyMicros.p50)}, ` +
      `p99 ${ms(latencyMicros.p99)} (${summary.backend})`,
    ...(refused.length > 0 ? [`refused or dropped: ${refused.join(', ')}`] : []),
    ...(givenUp.length > 0 ? [`calls given up: ${summary.callsGivenUp}`, ...givenUp] : []),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function placeOfFiles(hasRecordings: boolean, hasAudit: boolean, out: string): string[] {
  const things = [...(hasRecordings ? ['recordings'] : []), ...(hasAudit ? ['audit'] : [])].join(' and ');
  if (things === '') return [];
  return [`${things[0]?.toUpperCase()}${things.slice(1)} ${hasRecordings ? 'are' : 'is'} in ${out}`];
}
