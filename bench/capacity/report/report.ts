import { factList, legend, page, picture } from '../../page/html.js';
import type { LoadCodec } from '../load/plan.js';
import { BASELINES } from '../processes/messages.js';
import { figuresTable } from './figures.js';
import { costPlot, latencyPlot } from './plots.js';

import { LATENESS_BOUNDS_US } from './statistics.js';
import type { CapacityReport, CapacityRun, LatencyCurves } from './summary.js';

const CODEC_NAMES: Readonly<Record<LoadCodec, string>> = { pcmu: 'PCMU', opus: 'Opus', mixed: 'PCMU and Opus' };

/** One page that needs nothing else: figures, pictures, and where they were taken. */
export function capacityPage(report: CapacityReport, curves: readonly LatencyCurves[]): string {
  const { runs } = report;
  const [first] = runs;
  const isHook = first?.source === 'audiohook';
  const unit = isHook ? 'sessions' : 'streams';
  const what = isHook
    ? `AudioHook sessions, ${first.packetMillis} ms`
    : `${CODEC_NAMES[first?.codec ?? 'mixed']} streams`;
  const title = `trunkline under load: ${counts(runs)} ${what}${first?.record ? ', recording' : ''}${first?.encrypt ? ', encrypted' : ''}`;
  const hasBareWs = runs.some(({ baselines }) => baselines.bareWs !== null);
  const hasTutorial = runs.some(({ baselines }) => baselines.tutorial !== null);
  const hasPlain = runs.some(({ baselines }) => baselines.plain !== null);
  const invalid = runs.filter((run) => !run.valid);
  const content = `${invalid.length === 0 ? '' : warning(invalid, unit)}
<section>
<h2>Latency</h2>
<p>From the moment each packet was due on the wire${isHook ? '' : ', without the playout delay of 50 ms'}. A stall of the
node delays the packets behind it, and each counts with its whole wait.${isHook ? ' A packet here is one message of AudioHook, with both sides of a call in it.' : ''}</p>
${legend([
  ['node', 'node, due → delivered'],
  ['decoded', 'node, due → decoded'],
  ...(hasTutorial ? [['tutorial', 'tutorial, due → handled'] as const] : []),
])}
<div class="${curves.length > 1 ? 'grid' : 'wide'}">
${curves.map((one) => picture(`${one.streams.toLocaleString('en')} ${unit}`, latencyPlot(one, curves.length > 1))).join('\n')}
</div>
</section>
<section>
<h2>Cost</h2>
<p>User and system time of all threads of the process, for each packet that came through.${
    hasBareWs
      ? ` <em>bareWs</em> is a <code>ws</code> ${isHook ? 'server' : 'client'} that receives the same messages and discards them.`
      : ''
  }${hasTutorial ? ' <em>tutorial</em> does the work of the source document on one thread.' : ''}${
    hasPlain
      ? ` <em>plain</em> is the node itself ${first?.encrypt ? 'without encryption' : 'on the native path, without recording'}.`
      : ''
  }${
    runs.some(({ baselines }) => BASELINES.some((kind) => baselines[kind]?.saturated))
      ? ' * did not keep up with the load.'
      : ''
  }</p>
${legend([
  ['node', 'node'],
  ...(hasBareWs ? [['bare', 'bareWs'] as const] : []),
  ...(hasTutorial ? [['tutorial', 'tutorial'] as const] : []),
  ...(hasPlain ? [['plain', 'plain'] as const] : []),
])}
<div class="wide">
${picture('CPU a packet', costPlot(runs, unit))}
</div>
</section>
<section>
<h2>Figures</h2>
${figuresTable(runs, unit)}
<p class="note">Workers are the shards and, when recording, the recorder; other threads are Node’s and V8’s. Medians of the valid rounds; packets are counted over all of them. A round is valid when the generator
was late by no more than ${LATENESS_BOUNDS_US.p99 / 1e3} ms at p99 and ${LATENESS_BOUNDS_US.max / 1e3} ms at most.</p>
</section>`;
  return page(title, report.measurement, place(report), content);
}

function counts(runs: readonly CapacityRun[]): string {
  const numbers = runs.map((run) => run.streams.toLocaleString('en'));
  return numbers.length < 2 ? numbers.join('') : `${numbers[0]} to ${numbers.at(-1)}`;
}

function place({ machine, node, backend, version, commit, date, ...run }: CapacityReport): string {
  const facts = [
    ['Version', `${version}, commit ${commit ?? 'unknown'}`],
    ['Date', date],
    ['Arguments', run.arguments.join(' ')],
    ['Machine', `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB`],
    ['System', machine.system],
    ['Node', node],
    ['Backend', backend === 'native' ? 'native' : 'JavaScript'],
    ['Load before', String(machine.loadBefore)],
  ];
  return factList(facts);
}

function warning(runs: readonly CapacityRun[], unit: string): string {
  const which = runs.map((run) => run.streams.toLocaleString('en')).join(', ');
  return `<p class="warning"><strong>Not valid</strong> at ${which} ${unit}: the generator lagged in every round, so these
figures say more about the machine than about the node. Repeat them when nothing else runs.</p>`;
}
