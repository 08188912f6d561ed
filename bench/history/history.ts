import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, TrunklineError } from '../../src/core/errors.js';
import { tableOf } from '../capacity/report/table.js';
import { FIGURES, type KeptFigures, type Result, SETTINGS } from '../compare/result-file.js';
import { packageRoot } from '../provenance.js';

/** The medians of one result, as one file for each version keeps them. */
const ENTRY = z.object({
  commit: z.string().nullable(),
  date: z.string(),
  node: z.string(),
  machine: z.object({ cpu: z.string(), cores: z.number(), system: z.string(), loadBefore: z.number() }),
  backend: z.string(),
  settings: SETTINGS,
  runs: z.array(
    z.object({
      streams: z.number(),
      rounds: z.number(),
      dropped: z.number(),
      packetsSent: z.number(),
      /** Of the node and of each baseline that was run. */
      medians: z.object({
        node: FIGURES,
        bareWs: FIGURES.optional(),
        tutorial: FIGURES.optional(),
        plain: FIGURES.optional(),
      }),
    }),
  ),
});
const FILE = z.object({ version: z.string(), entries: z.array(ENTRY) });

type Entry = z.infer<typeof ENTRY>;
export type ReleaseHistory = z.infer<typeof FILE>;

/** In the checkout. */
export function historyFolder(): string {
  return join(packageRoot(), 'bench', 'history', 'releases');
}

/**
 * Adds the medians of a result to those of its version. An entry with the same settings, streams and machine is replaced:
 * a release has one measurement of each kind.
 *
 * @returns the file that was written.
 * @throws TrunklineError CONFIG_INVALID for a smoke run, or one in which the generator was late in every round.
 */
export function addToHistory(result: Result, folder: string): string {
  if (!result.measurement) throw invalid('A smoke run measures nothing, and is not kept.');
  const late = result.runs.filter((run) => !run.valid).map(({ streams }) => streams);
  if (late.length > 0) throw invalid(`The generator lagged in every round at ${late.join(', ')} streams.`);
  const entry = entryOf(result);
  const file = join(folder, `${result.version}.json`);
  const history = existsSync(file) ? readRelease(file) : { version: result.version, entries: [] };
  const others = history.entries.filter((one) => kindOf(one) !== kindOf(entry));
  const entries = [...others, entry].sort((a, b) => a.date.localeCompare(b.date));
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${JSON.stringify({ version: result.version, entries }, undefined, 2)}\n`);
  return file;
}

/** Every release that has been kept, the oldest first. */
export function readHistory(folder: string): ReleaseHistory[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files
    .map((name) => readRelease(join(folder, name)))
    .sort((a, b) => a.version.localeCompare(b.version, 'en', { numeric: true }));
}

export function historyText(releases: readonly ReleaseHistory[]): string {
  const rows = releases.flatMap(({ version, entries }) =>
    entries.flatMap((entry) => entry.runs.map((run) => ({ version, entry, run, node: run.medians.node }))),
  );
  if (rows.length === 0) return 'No release has been kept yet.';
  const figure = (value: number | null | undefined, digits: number, unit = 1): string | undefined =>
    typeof value === 'number' ? (value / unit).toFixed(digits) : undefined;
  return tableOf(
    [
      ['version', ({ version }) => version],
      ['commit', ({ entry }) => entry.commit?.slice(0, 7)],
      ['source', ({ entry }) => entry.settings.source],
      ['codec', ({ entry }) => entry.settings.codec + (entry.settings.record ? '+rec' : '')],
      ['streams', ({ run }) => `${run.streams}`],
      ['µs/packet', ({ node }) => figure(node.cpuMicrosPerPacket, 2)],
      ['÷ bareWs', ({ run, node }) => figure(quotient(node, run.medians.bareWs), 2)],
      ['÷ tutorial', ({ run, node }) => figure(quotient(node, run.medians.tutorial), 3)],
      ['p50 ms', ({ node }) => figure(node.p50Micros, 2, 1e3)],
      ['p99 ms', ({ node }) => figure(node.p99Micros, 2, 1e3)],
      ['RSS MB', ({ node }) => figure(node.rssBytes, 0, 1e6)],
      ['dropped', ({ run }) => `${run.dropped} of ${run.packetsSent}`],
      ['rounds', ({ run }) => `${run.rounds}`],
      ['machine', ({ entry }) => `${entry.machine.cpu}, ${entry.machine.cores} cores`],
    ],
    rows,
  ).join('\n');
}

function quotient(node: KeptFigures, baseline: KeptFigures | undefined): number | undefined {
  const [cpu, other] = [node.cpuMicrosPerPacket, baseline?.cpuMicrosPerPacket];
  return typeof cpu === 'number' && typeof other === 'number' ? cpu / other : undefined;
}

function entryOf({ commit, date, node, machine, backend, settings, runs }: Result): Entry {
  const { cpu, cores, system, loadBefore } = machine;
  const { profile: _profile, smoke: _smoke, ...kept } = settings;
  return {
    ...{ commit, date, node, backend, settings: kept },
    machine: { cpu, cores, system, loadBefore },
    runs: runs.map(({ streams, dropped, packetsSent, medians, perRound }) => ({
      ...{ streams, dropped, packetsSent },
      rounds: perRound.node.filter(({ valid }) => valid).length,
      medians: {
        node: medians.node ?? {},
        ...(medians.bareWs && { bareWs: medians.bareWs }),
        ...(medians.tutorial && { tutorial: medians.tutorial }),
        ...(medians.plain && { plain: medians.plain }),
      },
    })),
  };
}

function kindOf({ settings, machine, runs }: Entry): string {
  return JSON.stringify([settings, machine.cpu, machine.cores, runs.map(({ streams }) => streams)]);
}

function readRelease(file: string): ReleaseHistory {
  try {
    return FILE.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the history ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message);
}
