import type { Command } from 'commander';
import { print } from '../../process/output.js';
import { benchmarks, write } from './benchmarks.js';

export function compare(bench: Command): Command {
  return bench
    .command('compare')
    .description('two results of bench capacity --json, figure by figure, with 95 % confidence')
    .argument('<first>', 'file with the result to measure against')
    .argument('<second>', 'file with the other one')
    .option('--report <file>', 'write a page with the intervals to this file')
    .addHelpText(
      'after',
      `
Ratios are those of geometric means over the valid rounds, their intervals Welch's on the logarithms of the rounds. Files
that differ in machine, Node, settings or streams are compared all the same, and it is said in what they differ.

Examples:
  $ trunkline bench capacity --streams 2000 --json > before.json
  $ trunkline bench compare before.json after.json --report comparison.html`,
    )
    .action(async (first: string, second: string, { report }: { readonly report?: string }) => {
      const { readResult } = await benchmarks(() => import('../../../../bench/compare/result-file.js'));
      const { compareResults } = await import('../../../../bench/compare/compare.js');
      const { comparisonText } = await import('../../../../bench/compare/text.js');
      const comparison = compareResults(readResult(first), readResult(second));
      print(`${comparisonText(comparison)}\n`);
      if (report === undefined) return;
      const { comparisonPage } = await benchmarks(() => import('../../../../bench/compare/page.js'));
      write(report, comparisonPage(comparison));
    });
}

export function history(bench: Command): Command {
  return bench
    .command('history')
    .description('medians of each release, in bench/history/releases: adds those of results, and shows all')
    .argument('[results...]', 'files with results of bench capacity --json to add')
    .option('--folder <folder>', "another folder than the checkout's")
    .action(async (results: readonly string[], { folder }: { readonly folder?: string }) => {
      const kept = await benchmarks(() => import('../../../../bench/history/history.js'));
      const { readResult } = await import('../../../../bench/compare/result-file.js');
      const place = folder ?? kept.historyFolder();
      for (const file of results) print(`Added to ${kept.addToHistory(readResult(file), place)}.\n`);
      print(`${kept.historyText(kept.readHistory(place))}\n`);
    });
}
