import process from 'node:process';
import { CommanderError } from 'commander';
import type { Config } from '../../config/schema.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { EffectiveSettings } from '../../node/settings.js';
import type { NodeSummary } from '../../node/summary.js';
import { complain, print, printJson } from '../process/output.js';

/** A node with the settings that it was made from. */
export interface ConfiguredNode {
  readonly config: EffectiveSettings;
  summary(): NodeSummary;
}

/**
 * Prints the summary of a node that has stopped: a sentence or, with `--json`, one object, to which `extra` is added.
 * Sound or audit that could not be written makes the exit code 1.
 */
export function reportSummary(
  node: ConfiguredNode,
  { json }: Pick<Config, 'json'>,
  extra: Readonly<Record<string, unknown>> = {},
): void {
  const { record, audit, out } = node.config;
  const summary = node.summary();
  if (json) printJson({ ...summary, ...extra });
  else print(`${sentence(summary)}\n${placeOfFiles(record, audit !== 'off', out)}`);
  const { recordingsIncomplete: incomplete, auditEntriesLost: lost } = summary;
  if (incomplete > 0) {
    fail(
      `${incomplete} recordings are incomplete, for a part of their sound could not be written; their session.json says so`,
    );
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

function sentence(summary: NodeSummary): string {
  const { streams, packetsReceived, packetsLost, packetsLate, packetsDropped, decodeErrors, latencyMicros } = summary;
  const ms = (us: number): string => `${(us / 1000).toFixed(1)} ms`;
  return (
    `${streams} streams: ${packetsReceived} packets received, ${packetsLost} lost, ${packetsLate} late, ` +
    `${packetsDropped} dropped, ${decodeErrors} decode errors; latency p50 ${ms(latencyMicros.p50)}, ` +
    `p99 ${ms(latencyMicros.p99)} (${summary.backend})`
  );
}

function placeOfFiles(hasRecordings: boolean, hasAudit: boolean, out: string): string {
  const things = [...(hasRecordings ? ['recordings'] : []), ...(hasAudit ? ['audit'] : [])].join(' and ');
  if (things === '') return '';
  return `${things[0]?.toUpperCase()}${things.slice(1)} ${hasRecordings ? 'are' : 'is'} in ${out}\n`;
}
