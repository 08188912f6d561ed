import { NOT_A_MEASUREMENT } from '../../provenance.js';
import type { LoadCodec } from '../load/plan.js';
import { BASELINES } from '../processes/messages.js';
import { figuresTable } from './figures.js';
import { escapeHtml } from './html.js';
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
  const title = `trunkline under load: ${counts(runs)} ${what}${first?.record ? ', recording' : ''}`;
  const hasBareWs = runs.some(({ baselines }) => baselines.bareWs !== null);
  const hasTutorial = runs.some(({ baselines }) => baselines.tutorial !== null);
  const hasPlain = runs.some(({ baselines }) => baselines.plain !== null);
  const invalid = runs.filter((run) => !run.valid);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${place(report)}
${report.measurement ? '' : `<p class="warning"><strong>${NOT_A_MEASUREMENT}</strong></p>`}
${invalid.length === 0 ? '' : warning(invalid, unit)}
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
    hasPlain ? ' <em>plain</em> is the node itself on the native path, without recording.' : ''
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
</section>
</main>
</body>
</html>
`;
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
  return `<dl>${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeHtml(value ?? '')}</dd></div>`).join('')}</dl>`;
}

function warning(runs: readonly CapacityRun[], unit: string): string {
  const which = runs.map((run) => run.streams.toLocaleString('en')).join(', ');
  return `<p class="warning"><strong>Not valid</strong> at ${which} ${unit}: the generator lagged in every round, so these
figures say more about the machine than about the node. Repeat them when nothing else runs.</p>`;
}

function legend(entries: readonly (readonly [colour: string, name: string])[]): string {
  const items = entries.map(
    ([colour, name]) => `<li><i style="background: var(--${colour})"></i>${escapeHtml(name)}</li>`,
  );
  return `<ul class="legend">${items.join('')}</ul>`;
}

function picture(caption: string, svg: string): string {
  return `<figure><figcaption>${escapeHtml(caption)}</figcaption>${svg}</figure>`;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6878; --ground: #ffffff; --line: #dde2e9;
  --node: #1f6feb; --decoded: #14a098; --bare: #7b8494; --tutorial: #d1541f; --plain: #8250df; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa5b5; --ground: #12161c; --line: #2c343f;
  --node: #58a6ff; --decoded: #3fc9bd; --bare: #99a3b3; --tutorial: #f0883e; --plain: #bc8cff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 20px; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 44px 0 4px; }
p { max-width: 68ch; margin: 4px 0 12px; color: var(--soft); }
code { font-size: 0.92em; }
dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0; padding: 12px 0; border-block: 1px solid var(--line); }
dt { font-size: 0.8rem; color: var(--soft); }
dd { margin: 0; }
.warning { color: var(--ink); border: 1px solid var(--tutorial); border-radius: 6px; padding: 10px 14px; margin-top: 20px; max-width: none; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 22px; list-style: none; margin: 0 0 10px; padding: 0; font-size: 0.92rem; }
.legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; margin-right: 8px; vertical-align: 4px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 20px 28px; }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; overflow: visible; }
figcaption { font-weight: 600; margin-bottom: 4px; }
.wide { overflow-x: auto; }
.wide svg { min-width: 620px; }
.wide figcaption { position: absolute; clip-path: inset(50%); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.95rem; }
th, td { padding: 5px 14px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; font-weight: 400; color: var(--soft); }
thead th { font-weight: 600; }
th[scope=rowgroup] { font-weight: 600; color: var(--ink); padding-top: 20px; }
.note { font-size: 0.88rem; margin-top: 12px; }
`;
