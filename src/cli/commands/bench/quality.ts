import process from 'node:process';
import { type Command, Option } from 'commander';
import { numberFrom } from '../../arguments.js';
import { print, printJson } from '../../process/output.js';
import { benchmarks, write } from './benchmarks.js';

interface QualityFlags {
  readonly set: 'tuning' | 'test' | 'shipped';
  readonly seconds: number;
  readonly folder?: string;
  readonly native: 'off' | 'auto' | 'require';
  readonly only: string;
  readonly quick?: boolean;
  readonly smoke?: boolean;
  readonly report?: string;
  readonly json?: boolean;
}

interface CorpusFlags {
  readonly set: 'tuning' | 'test' | 'shipped';
  readonly seconds: number;
  readonly folder?: string;
  readonly json?: boolean;
}

const SETS = ['tuning', 'test', 'shipped'] as const;
const DEFAULT_SECONDS = 40;
const MAX_SECONDS = 3_600;

export function quality(bench: Command): Command {
  return bench
    .command('quality')
    .description('how well silence is detected and loss concealed, beside other detectors, on labelled speech')
    .addOption(new Option('--set <name>', 'the labelled speech; see bench corpus').choices(SETS).default('test'))
    .option('--seconds <s>', 'length of each file', numberFrom(10, MAX_SECONDS), DEFAULT_SECONDS)
    .option('--folder <path>', "where the speech is kept (default: trunkline/quality in the user's cache folder)")
    .addOption(
      new Option('--native <use>', 'use of the native module').choices(['off', 'auto', 'require']).default('auto'),
    )
    .option('--only <text>', 'only detectors of silence whose name contains this', '')
    .option('--quick', 'few conditions, the speech that trunkline ships with, less than a minute')
    .option('--smoke', 'the same')
    .option('--report <file>', 'write a page with pictures to this file')
    .option('--json', 'end with one JSON object as the last line of stdout')
    .addHelpText(
      'after',
      `
Every detector takes all files: the engine's own through a whole engine, WebRTC's and Silero's frame by frame. Without
the synthesizers of a set, the clips that trunkline ships with are used, and the output says so.

Examples:
  $ trunkline bench quality --report quality.html
  $ trunkline bench quality --quick --json`,
    )
    .action(async ({ quick, smoke, report: file, json, ...options }: QualityFlags) => {
      const { runQuality } = await benchmarks(() => import('../../../../bench/quality/quality.js'));
      const { qualityTable } = await import('../../../../bench/quality/report/table.js');
      // Found out now rather than when the page is all there is left of a run.
      if (file !== undefined) write(file, '');
      const isQuick = quick ?? smoke ?? false;
      const { report, examples } = await runQuality({ ...options, quick: isQuick, log: logLine });
      print(`${qualityTable(report)}\n`);
      if (file !== undefined) {
        const { qualityPage } = await benchmarks(() => import('../../../../bench/quality/report/page.js'));
        write(file, qualityPage(report, examples));
      }
      if (json) printJson(report);
    });
}

export function corpus(bench: Command): Command {
  return bench
    .command('corpus')
    .description('make the labelled speech that the quality benchmark uses, and print where it is')
    .addOption(
      new Option('--set <name>', 'which one: for tuning, for judging, or of the clips that trunkline ships with')
        .choices(SETS)
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
      const result = made({ ...options, log: logLine });
      if (json) printJson(result);
      else print(`${result.folder}\n`);
    });
}

function logLine(line: string): void {
  process.stderr.write(`${line}\n`);
}
