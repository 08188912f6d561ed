import process from 'node:process';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { LIMITS } from '../../../core/limits.js';
import { numberFrom } from '../../arguments.js';
import { print, printJson } from '../../process/output.js';
import { benchmarks, write } from './benchmarks.js';
import { corpus, quality } from './quality.js';
import { compare, history } from './results.js';

interface CapacityFlags {
  readonly streams?: number;
  readonly sweep?: readonly number[];
  readonly codec?: 'pcmu' | 'opus' | 'mixed';
  readonly source: 'subscription' | 'audiohook';
  readonly frameMs?: '20' | '200';
  readonly openRate?: number;
  readonly writes?: 'connection' | 'packet';
  readonly baselines?: 'none' | 'bareWs' | 'plain' | 'all';
  readonly record?: boolean;
  readonly scrape?: boolean;
  readonly eventClients?: number;
  readonly listeners?: number;
  readonly consoles?: number;
  readonly consumer?: 'none' | 'views' | 'chunks' | 'batches';
  readonly seconds?: number;
  readonly warmup?: number;
  readonly repeat?: number;
  readonly native?: 'off' | 'auto' | 'require';
  readonly json?: boolean;
  readonly report?: string;
  readonly smoke?: boolean;
  readonly profile?: string;
}

interface ScrapeFlags {
  readonly streams?: number;
  readonly json?: boolean;
  readonly smoke?: boolean;
}

interface MicroFlags {
  readonly json?: boolean;
  readonly smoke?: boolean;
  readonly only?: string;
}

const streamCount = numberFrom(1, LIMITS.maxStreams);
const MAX_SECONDS = 7_200;
const MAX_OPEN_RATE = 10_000;

export function registerBench(program: Command): Command {
  const bench = program.command('bench').description('measure what trunkline costs on this machine');
  const all = [capacity, compare, history, micro, scrape, quality, corpus];
  for (const register of all) register(bench).exitOverride().showHelpAfterError();
  return bench;
}

function capacity(bench: Command): Command {
  return bench
    .command('capacity')
    .description('the whole node under load over real sockets, and the same load on what it is to be compared with')
    .option('--streams <n>', 'interactions at one time (default: 1000)', streamCount)
    .addOption(
      new Option('--sweep <n,n>', 'several numbers of them, one after the other')
        .argParser(sweepFrom)
        .conflicts('streams'),
    )
    .addOption(new Option('--codec <name>', 'what they send (default: pcmu)').choices(['pcmu', 'opus', 'mixed']))
    .addOption(
      new Option('--source <name>', 'how it comes in').choices(['subscription', 'audiohook']).default('subscription'),
    )
    .addOption(new Option('--frame-ms <n>', 'AudioHook: sound in a message (default: 200)').choices(['20', '200']))
    .option('--open-rate <n>', 'AudioHook: sessions opened a second (default: 200)', numberFrom(1, MAX_OPEN_RATE))
    .addOption(
      new Option('--writes <unit>', 'what a write of the generator holds (default: connection)').choices([
        'connection',
        'packet',
      ]),
    )
    .option('--record', 'write recordings as well')
    .option('--encrypt', 'with --record: encrypt them')
    .option('--scrape', 'with a control server, whose metrics are scraped every five seconds')
    .option('--event-clients <n>', 'with a control server, and so many clients of its events', numberFrom(0, 100))
    .option('--listeners <n>', 'with a control server, and so many listeners to live audio', numberFrom(0, 64))
    .option('--consoles <n>', 'with a control server, and so many consoles on table and call', numberFrom(0, 64))
    .addOption(
      new Option('--consumer <who>', 'who takes the decoded audio (default: chunks)').choices([
        'none',
        'views',
        'chunks',
        'batches',
      ]),
    )
    .option('--seconds <s>', 'length of the steady window (default: 10)', numberFrom(1, MAX_SECONDS))
    .option('--warmup <s>', 'load before it (default: 4)', numberFrom(1, MAX_SECONDS))
    .option('--repeat <n>', 'rounds of node and baselines in turn (default: 5)', numberFrom(1, 100))
    .addOption(
      new Option('--baselines <which>', 'what to compare with (default: all)').choices([
        'none',
        'bareWs',
        'plain',
        'all',
      ]),
    )
    .addOption(
      new Option('--native <use>', 'use of the native module (default: auto)').choices(['off', 'auto', 'require']),
    )
    .option('--json', 'end with one JSON object as the last line of stdout')
    .option('--report <file>', 'write a page with the curves to this file')
    .option(
      '--profile <folder>',
      "write profiles of the node's threads there, for speedscope; the figures then mean nothing",
    )
    .option('--smoke', 'a few seconds that show that it works, not how fast')
    .addHelpText(
      'after',
      `
Each packet has the moment at which it is due; latency counts from there, and the jitter buffer's hold is taken off.
CPU is that of the whole process, user and system, for each packet delivered. A round in which the generator
lagged is marked and left out; the others' medians are shown. With --source audiohook a packet is one message, both
sides of a call in it, and nothing is held; there is no tutorial for it, and bareWs is a server.
With --record, --scrape or --native off, plain is the same node without recording and control server, on the native
path where there is one. With --encrypt, it is the same node that records without encryption.
--consumer is none, views (a sink that copies the samples of each frame with speech into memory of its own), chunks (a
listener of mediaChunk) or batches (a listener of chunks): what each costs above none is the price of that way to the audio.
Behind a baseline's µs a packet stands, in brackets, the node's divided by it: below ×1 the node is the cheaper.

Examples:
  $ trunkline bench capacity --streams 2000
  $ trunkline bench capacity --sweep 100,500,1000,2000,4000 --report capacity.html
  $ trunkline bench capacity --record --baselines plain
  $ trunkline bench capacity --record --encrypt --baselines plain --streams 2000
  $ trunkline bench capacity --consumer views
  $ trunkline bench capacity --scrape --baselines plain --streams 2000
  $ trunkline bench capacity --codec opus --streams 1000 --repeat 7 --json
  $ trunkline bench capacity --source audiohook --frame-ms 20 --streams 1000
  $ trunkline bench capacity --seconds 600 --repeat 1 --baselines none`,
    )
    .action(async (flags: CapacityFlags) => {
      const { runCapacity } = await benchmarks(() => import('../../../../bench/capacity/capacity.js'));
      const { CAPACITY_DEFAULTS, SMOKE_OPTIONS } = await import('../../../../bench/capacity/options.js');
      const { capacityTable } = await import('../../../../bench/capacity/report/table.js');
      const { streams, sweep, frameMs, json, report: file, smoke, ...asked } = flags;
      // Found out now rather than when the page is all there is left of a run.
      if (file !== undefined) write(file, '');
      const base = smoke ? SMOKE_OPTIONS : CAPACITY_DEFAULTS;
      const counts = sweep ?? (streams === undefined ? base.sweep : [streams]);
      const { report, curves } = await runCapacity(
        { ...base, ...asked, sweep: counts, ...(frameMs && { frameMs: Number(frameMs) }) },
        (line) => process.stderr.write(`${line}\n`),
      );
      print(`${capacityTable(report)}\n`);
      if (file !== undefined) {
        const { capacityPage } = await benchmarks(() => import('../../../../bench/capacity/report/report.js'));
        write(file, capacityPage(report, curves));
      }
      if (json) printJson(report);
      if (report.runs.some((run) => !run.valid)) {
        process.stderr.write('The generator lagged in every round of a run marked invalid: the machine is too busy.\n');
      }
    });
}

function micro(bench: Command): Command {
  return bench
    .command('micro')
    .description('the steps of the hot path one by one, each in a loop')
    .option('--only <text>', 'only those whose name contains this')
    .option('--json', 'end with one JSON object as the last line of stdout')
    .option('--smoke', 'a few milliseconds each')
    .action(async ({ json, smoke, only }: MicroFlags) => {
      const { runMicro, microTable } = await benchmarks(() => import('../../../../bench/micro/micro.js'));
      const report = await runMicro({ smoke: smoke ?? false, only: only ?? '' });
      print(`${microTable(report)}\n`);
      if (json) printJson(report);
    });
}

function scrape(bench: Command): Command {
  return bench
    .command('scrape')
    .description('what a scrape of the metrics costs the main thread, and how long it holds it at most')
    .option('--streams <n>', 'open streams (default: 4000)', streamCount)
    .option('--json', 'end with one JSON object as the last line of stdout')
    .option('--smoke', 'a few scrapes')
    .action(async ({ streams, json, smoke }: ScrapeFlags) => {
      const { runScrape, scrapeTable } = await benchmarks(() => import('../../../../bench/scrape/scrape.js'));
      const report = await runScrape({ streams: streams ?? (smoke ? 100 : 4000), smoke: smoke ?? false });
      print(`${scrapeTable(report)}\n`);
      if (json) printJson(report);
    });
}

function sweepFrom(text: string): number[] {
  const counts = text.split(',').map((part) => streamCount(part));
  if (counts.length === 0) throw new InvalidArgumentError('Give numbers of streams, with commas between them.');
  return counts;
}
