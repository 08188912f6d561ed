import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { RECORDING_STATES, type RecordingRow, type RecordingState } from '../../../control/recordings/recording.js';
import { foldersOf, RecordingIndex } from '../../../control/recordings/recording-index.js';
import { conditionOf } from '../../../core/attributes/attribute-rule.js';
import { type CallAttributes, readAttributes } from '../../../core/attributes/attributes.js';
import { systemClock } from '../../../core/clock.js';
import { TrunklineError } from '../../../core/errors.js';
import { MS_PER_SECOND } from '../../../core/units.js';
import { numberFrom } from '../../arguments.js';
import { printable } from '../../console/live-table.js';
import { complain, print, printJson } from '../../process/output.js';
import { addControlOptions, ControlClient, type ControlFlags } from './client.js';
import { durationText } from './status.js';

interface Flags extends ControlFlags {
  readonly interaction?: string;
  readonly from?: number;
  readonly to?: number;
  readonly state?: RecordingState;
  readonly queue?: string;
  readonly user?: string;
  readonly direction?: string;
  readonly division?: string;
  readonly tag?: string;
  readonly limit: number;
  readonly json?: true;
}

const MAX_FOUND = 1_000_000;
const PAGE = 500;

/** A recording as it is printed. */
interface Found {
  readonly id: string;
  readonly interactionId: string;
  readonly state: string;
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly attributes: CallAttributes;
  /** Where its files are; of a node, the address of its audio. */
  readonly location: string;
}

export function registerFind(program: Command): Command {
  const command = program
    .command('find')
    .description('find recordings by interaction, time and state, in a folder or at a running node')
    .argument('[dir]', 'folder of the recordings; without it, a running node is asked')
    .option('--interaction <id>', 'of this interaction')
    .option('--since, --from <time>', 'that began then or later, such as 2026-03-01 or 2026-03-01T10:00:00Z', timeFrom)
    .option('--until, --to <time>', 'that began before', timeFrom)
    .option('--queue <name>', 'of this queue, in any case; * at the end stands for the rest')
    .option('--tag <tag>', 'with this tag')
    .option('--user <id>', 'of this agent')
    .option('--direction <direction>', 'inbound or outbound')
    .option('--division <name>', 'of this division')
    .addOption(new Option('--state <state>', 'in this state').choices(RECORDING_STATES))
    .option('--limit <n>', 'at most so many, the newest', numberFrom(1, MAX_FOUND), 50);
  return addControlOptions(command)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
It prints one line for each recording, the newest first: begin, duration, state, interaction, and where it is.
Dates without a time zone are of this machine's. A recording is unfinished when its process was killed; see
\`trunkline repair\`.

Examples:
  $ trunkline find capture --since 2026-03-01 --state incomplete
  $ trunkline find capture --queue Sales --tag claim --json
  $ trunkline find capture --interaction ID
  $ trunkline find --url https://node-1:9464 --limit 10`,
    )
    .action((dir: string | undefined, flags: Flags) => find(dir, flags));
}

async function find(dir: string | undefined, flags: Flags): Promise<void> {
  const { items, total } = dir === undefined ? await atNode(flags) : await inFolder(dir, flags);
  if (flags.json) {
    printJson({ items, total });
    return;
  }
  for (const { startedAt, durationSeconds, state, interactionId, location } of items) {
    const cells = [startedAt, durationText(durationSeconds).padStart(12), state.padEnd(10), interactionId, location];
    print(`${printable(cells.join('  '))}\n`);
  }
  if (total > items.length) complain(`${total - items.length} more; see --limit.`);
  if (total === 0) complain('No recording was found.');
}

async function inFolder(dir: string, flags: Flags): Promise<{ items: Found[]; total: number }> {
  if (!existsSync(dir)) {
    throw new TrunklineError('FILE_FAILED', `There is no folder ${dir}; name the one given to capture as --out.`);
  }
  const { interaction: interactionId, from: fromMs, to: toMs, state, limit } = flags;
  const attributes = conditionOf(flags);
  const named = interactionId === undefined ? [] : foldersOf(dir, interactionId);
  const index = new RecordingIndex(dir, systemClock, {
    share: 1,
    firstWaitMs: Number.POSITIVE_INFINITY,
    // Those of one interaction are found by name, where there is no layout.
    ...(named.length === 0 ? {} : { only: named }),
  });
  try {
    const { items, total } = await index.query({ limit, fromMs, toMs, interactionId, state, attributes });
    return { items: items.map((row) => foundIn(dir, row)), total };
  } finally {
    index.close();
  }
}

function foundIn(dir: string, { id, interactionId, state, startedAtMs, durationMs, attributes }: RecordingRow): Found {
  const startedAt = new Date(startedAtMs).toISOString();
  return {
    id,
    interactionId,
    state,
    startedAt,
    durationSeconds: durationMs / MS_PER_SECOND,
    attributes,
    location: join(dir, id),
  };
}

const pageSchema = z.object({
  items: z.array(
    z.object({
      ...{ id: z.string(), interactionId: z.string(), state: z.string() },
      ...{ startedAt: z.string(), durationSeconds: z.number() },
      attributes: z.unknown().transform(readAttributes).default({}),
    }),
  ),
  total: z.number(),
  nextCursor: z.string().nullable(),
});

async function atNode(flags: Flags): Promise<{ items: Found[]; total: number }> {
  const client = new ControlClient(flags);
  const { interaction, from, to, state, limit } = flags;
  const items: Found[] = [];
  let total = 0;
  for (let cursor: string | null = ''; cursor !== null && items.length < limit; ) {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, limit - items.length)) });
    if (interaction !== undefined) query.set('interactionId', interaction);
    if (from !== undefined) query.set('from', new Date(from).toISOString());
    if (to !== undefined) query.set('to', new Date(to).toISOString());
    if (state !== undefined) query.set('state', state);
    for (const { name, value } of conditionOf(flags)) query.set(name, value);
    if (cursor !== '') query.set('cursor', cursor);
    const page = pageSchema.safeParse(await client.call('GET', `/recordings?${query}`)).data;
    if (page === undefined) {
      throw new TrunklineError('PROTOCOL_ERROR', `What answers at ${client.url} is another version of trunkline.`);
    }
    items.push(...page.items.map((row) => ({ ...row, location: audioUrl(client.url, row.id) })));
    ({ total, nextCursor: cursor } = page);
  }
  return { items, total };
}

function audioUrl(url: string, id: string): string {
  return `${url}/api/v1/recordings/${encodeURIComponent(id)}/audio.wav`;
}

/** A date alone is the begin of that day here, not at Greenwich. */
function timeFrom(text: string): number {
  const ms = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('It must be a time such as 2026-03-01 or 2026-03-01T10:00:00Z.');
  return ms;
}
