import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, TrunklineError } from '../../src/core/errors.js';

const FIGURE = z.number().nullable();
/** The figures that are named here are those that are looked for by name. */
const NAMED = {
  cpuMicrosPerPacket: FIGURE.optional(),
  p50Micros: FIGURE.optional(),
  p99Micros: FIGURE.optional(),
  rssBytes: FIGURE.optional(),
};
export const FIGURES = z.object(NAMED).catchall(FIGURE);
export type KeptFigures = z.infer<typeof FIGURES>;
const ROUNDS = z.array(z.object({ ...NAMED, valid: z.boolean(), dropped: z.number() }).catchall(FIGURE));

export const SETTINGS = z.looseObject({ source: z.string(), codec: z.string(), record: z.boolean() });

/** What comparing and keeping need of the last line that `bench capacity --json` prints. */
const RESULT = z.object({
  version: z.string(),
  commit: z.string().nullable(),
  date: z.string(),
  node: z.string(),
  measurement: z.boolean(),
  machine: z.object({
    cpu: z.string(),
    cores: z.number(),
    memoryBytes: z.number(),
    system: z.string(),
    loadBefore: z.number(),
  }),
  backend: z.string(),
  settings: SETTINGS,
  runs: z.array(
    z.object({
      streams: z.number(),
      valid: z.boolean(),
      dropped: z.number(),
      packetsSent: z.number(),
      medians: z.object({
        node: FIGURES.nullable(),
        bareWs: FIGURES.nullable(),
        tutorial: FIGURES.nullable(),
        plain: FIGURES.nullable(),
      }),
      perRound: z.object({ node: ROUNDS, bareWs: ROUNDS, tutorial: ROUNDS, plain: ROUNDS }),
    }),
  ),
});

export type Result = z.infer<typeof RESULT>;
export type ResultRun = Result['runs'][number];
export type ResultRound = ResultRun['perRound']['node'][number];

/**
 * Reads what `bench capacity --json` printed, with or without the table before it.
 *
 * @throws TrunklineError CONFIG_INVALID for a file that is something else, or that has no figures of single rounds.
 */
export function readResult(file: string): Result {
  let value: unknown;
  try {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    value = JSON.parse(lines.at(-1) ?? '');
  } catch (error) {
    throw new TrunklineError('CONFIG_INVALID', `Cannot read the result ${file}: ${messageOf(error)}`, { cause: error });
  }
  const result = RESULT.safeParse(value);
  if (result.success) return result.data;
  throw new TrunklineError(
    'CONFIG_INVALID',
    `${file} is no result of bench capacity --json that has its rounds: ${z.prettifyError(result.error)}`,
  );
}
