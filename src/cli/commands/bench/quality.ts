import process from 'node:process';
import { type Command, Option } from 'commander';
import { numberFrom } from '../../arguments.js';
import { print, printJson } from '../../process/output.js';
import { benchmarks } from './benchmarks.js';

interface CorpusFlags {
  readonly set: 'tuning' | 'test' | 'shipped';
  readonly seconds: number;
  readonly folder?: string;
  readonly json?: boolean;
}

const DEFAULT_SECONDS = 40;
const MAX_SECONDS = 3_600;

export function corpus(bench: Command): Command {
  return bench
    .command('corpus')
    .description('make the labelled speech that the quality benchmark uses, and print where it is')
    .addOption(
      new Option('--set <name>', 'which one: for tuning, for judging, or of the clips that trunkline ships with')
        .choices(['tuning', 'test', 'shipped'])
        .default('tuning'),
    )
    .option('--seconds <s>', 'length of each file', numberFrom(10, MAX_SECONDS), DEFAULT_SECONDS)
    .option('--folder <path>', "where to keep it (default: trunkline/quality in the user's cache folder)")
    .option('--json', 'print what is in it as one JSON object')
    .addHelpText(
      'after',
      `
Several voices of several languages say short phrases with known pauses, through the band of a telephone line, as
µ-law of 8 kHz: clean, in noise of 40 to 0 dB, at four levels, with music and tones in the pauses. Each WAV file has a
JSON file beside it with the true speech, as "trunkline eval silence" reads it. The voices of "tuning" and "test" come
from Debian packages, which the command names where they are missing; the two share no text, voice or synthesizer.

Example:
  $ trunkline bench corpus --set tuning`,
    )
    .action(async ({ json, ...options }: CorpusFlags) => {
      const { corpus: made } = await benchmarks(() => import('../../../../bench/quality/corpus/corpus.js'));
      const result = made({ ...options, log: (line) => process.stderr.write(`${line}\n`) });
      if (json) printJson(result);
      else print(`${result.folder}\n`);
    });
}
