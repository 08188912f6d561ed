import { escapeHtml, factList, legend, page, picture } from '../../page/html.js';
import type { ConditionGroup } from '../corpus/conditions.js';
import type { JitterFigures, JitterRow } from '../jitter.js';
import type { QualityReport } from '../quality.js';
import type { Example } from '../silence/rows.js';
import { CONCEALMENT_LEGEND, concealmentPlot, examplePlot } from './plots.js';
import { costText, GROUP_NAMES, ratesText } from './table.js';

/** Detectors that the pictures show, of those that there are. */
const SHOWN = ['adaptive', 'neural', 'fixed', 'WebRTC, mode 3'];
const MOST_SHOWN = 3;

/** One page that needs nothing else: means and conditions as heat maps, pictures of single files, concealment. */
export function qualityPage(report: QualityReport, examples: readonly Example[]): string {
  const { corpus, marks, concealment, jitter } = report;
  const title = `trunkline: signal quality, ${corpus.talkers.length} voices`;
  const names = Object.keys(report.silence.microsPerFrame);
  const shown = SHOWN.filter((name) => names.includes(name)).slice(0, MOST_SHOWN);
  const content = `<section>
<h2>Silence detection, means</h2>
<p>Accuracy / speech found / non-speech found, in percent of frames of 20 ms. <em>Live</em> is the flag that a frame has
when it comes out, <em>spans</em> is what is known afterwards. µs a frame is the CPU of the whole process that the
benchmark runs in, the reading of the file included.</p>
${meansTable(report)}
<p>A shard needs for one PCMU packet of 20 ms, decoding, level, detector and rings together, in µs:
${report.shardCosts.map(({ backend, micros }) => `${backend}: ${costText(micros)}`).join('; ')}.</p>
</section>
<section>
<h2>Silence detection, each condition</h2>
<p>Accuracy, live | spans; the number behind a noise is how many dB it lies below speech.</p>
${conditionsTable(report)}
</section>
${Object.entries(marks).map(marksSection).join('\n')}
<section>
<h2>Examples</h2>
<p>The level of a file, and below it where there is speech.</p>
${legend([
  ['bare', 'in truth'],
  ['decoded', 'by the live flag'],
  ['node', 'by the spans'],
])}
${examples.map((one) => picture(`${one.condition}: ${one.talker}`, examplePlot(one, shown))).join('\n')}
</section>
<section>
<h2>Onsets</h2>
<p>From where speech truly begins to where its span does, ms: p50, p95, and how many were not found.</p>
${onsetTable(report)}
</section>
<section>
<h2>Concealment of lost packets</h2>
<p>Log-spectral distance of what is played instead of a lost packet from what was sent; less is better.</p>
${legend(CONCEALMENT_LEGEND)}
<div class="grid">
${picture('Single packets', concealmentPlot(concealment, 'random'))}
${picture('Bursts of two and three', concealmentPlot(concealment, 'bursts'))}
</div>
</section>
<section>
<h2>Jitter buffer</h2>
<p>Packets that came too late for the live line, and the delay that the jitter buffer adds on average after the first two
seconds: with adaptive delays, and with the fixed one of 50 ms, 100 ms while more than 5 % are lost.</p>
${jitterTable(jitter)}
</section>`;
  return page(title, report.measurement, facts(report), content, HEAT_STYLE);
}

function jitterTable(rows: readonly JitterRow[]): string {
  const cells = ({ latePercent, addedMillis }: JitterFigures) =>
    `<td>${latePercent.toFixed(2)} %</td><td>${addedMillis.toFixed(1)} ms</td>`;
  const lines = rows.map((row) => `<tr><th>${escapeHtml(row.name)}</th>${cells(row.adaptive)}${cells(row.fixed)}</tr>`);
  const head = '<th></th><th>adaptive: late</th><th>added</th><th>fixed: late</th><th>added</th>';
  return `<table><thead><tr>${head}</tr></thead><tbody>${lines.join('')}</tbody></table>`;
}

function facts({ corpus, machine, node, version, commit, date }: QualityReport): string {
  const list = [
    ['Version', `${version}, ${commit?.slice(0, 12) ?? 'unknown commit'}`],
    ['Date', date.slice(0, 16).replace('T', ' ')],
    ['Speech', `${corpus.set}, ${corpus.seconds} s of each voice`],
    ['Voices', corpus.talkers.join(', ')],
    ...(corpus.missingPackages.length === 0 ? [] : [['Not installed', corpus.missingPackages.join(', ')]]),
    ['Processor', `${machine.cpu}, ${machine.cores} cores`],
    ['Node', node],
    ['Load before', String(machine.loadBefore)],
  ];
  return factList(list);
}

function meansTable({ silence: { means, microsPerFrame } }: QualityReport): string {
  const groups = Object.keys(means) as ConditionGroup[];
  const head = groups.map((group) => `<th scope="col">${GROUP_NAMES[group]}, live</th><th scope="col">spans</th>`);
  const rows = Object.entries(microsPerFrame).map(([name, micros]) => {
    const cells = groups.flatMap((group) => {
      const mean = means[group]?.[name];
      return [
        heatCell(mean?.live.accuracy, ratesText(mean?.live)),
        heatCell(mean?.spans.accuracy, ratesText(mean?.spans)),
      ];
    });
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells.join('')}<td>${micros.toFixed(1)}</td></tr>`;
  });
  return table(['detector'], `${head.join('')}<th scope="col">µs a frame</th>`, rows);
}

function conditionsTable({ silence: { conditions, microsPerFrame } }: QualityReport): string {
  const names = Object.keys(microsPerFrame);
  const head = names.map((name) => `<th scope="col" colspan="2">${escapeHtml(name)}</th>`).join('');
  const rows = conditions.map(({ condition, scores }) => {
    const cells = names.flatMap((name) => {
      const score = scores[name];
      return [score?.live, score?.spans].map((rates) =>
        heatCell(rates?.accuracy, rates?.accuracy.toFixed(0), ratesText(rates)),
      );
    });
    return `<tr><th scope="row">${escapeHtml(condition.name)}</th>${cells.join('')}</tr>`;
  });
  return table(['condition'], head, rows);
}

function onsetTable({ silence: { conditions, microsPerFrame } }: QualityReport): string {
  const names = Object.keys(microsPerFrame);
  const rows = conditions.map(({ condition, scores }) => {
    const cells = names.map((name) => {
      const onset = scores[name]?.onsetErrorMillis;
      const text = onset === undefined ? '' : `${millis(onset.p50)}, ${millis(onset.p95)}, ${onset.missed}`;
      return `<td>${text}</td>`;
    });
    return `<tr><th scope="row">${escapeHtml(condition.name)}</th>${cells.join('')}</tr>`;
  });
  return table(['condition'], names.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join(''), rows);
}

function marksSection([detector, marks]: [string, QualityReport['marks'][string]]): string {
  if (marks.length === 0) return '';
  const rows = marks.map(
    ({ what, atLeast, measured, isMet }) =>
      `<tr><th scope="row">${escapeHtml(what)}</th><td>${atLeast}</td><td>${measured}</td><td>${isMet ? 'met' : '<strong>missed</strong>'}</td></tr>`,
  );
  const head = '<th scope="col">at least</th><th scope="col">measured</th><th scope="col"></th>';
  return `<section><h2>What ${escapeHtml(detector)} is to reach</h2>${table(['accuracy, %'], head, rows)}</section>`;
}

function table(first: readonly [string], head: string, rows: readonly string[]): string {
  return `<div class="scroll"><table><thead><tr><th scope="col">${first[0]}</th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>`;
}

/** The better, the greener; half of all frames, which a coin would find as well, is red. */
function heatCell(accuracy: number | undefined, text: string | undefined, title = ''): string {
  if (accuracy === undefined || text === undefined) return '<td></td>';
  const part = Math.max(0, Math.min(1, (accuracy - 50) / 50));
  return `<td class="heat" style="--hue:${Math.round(part * part * 135)}" title="${escapeHtml(title)}">${escapeHtml(text)}</td>`;
}

function millis(value: number | null): string {
  return value === null ? '–' : value.toFixed(0);
}

const HEAT_STYLE = `
td.heat { background: hsl(var(--hue) 65% 50% / 0.32); }
figure { margin-bottom: 28px; }
`;
