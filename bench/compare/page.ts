import { dot, link, ruleX } from '@observablehq/plot';
import { escapeHtml, factList, page, picture } from '../page/html.js';
import { svg } from '../page/svg.js';
import type { Comparison, Row } from './compare.js';
import { figureText, intervalText, METHOD, placeOf, verdictOf } from './text.js';

const WIDTH = 992;

/** One page that needs nothing else. */
export function comparisonPage({ before, after, differences, rows, dropped }: Comparison): string {
  const counts = [...new Set(rows.map(({ streams }) => streams))];
  const of = (streams: number): Row[] => rows.filter((row) => row.streams === streams);
  const facts = factList([
    ['First', placeOf(before)],
    ['Second', placeOf(after)],
    ['Machine', `${after.machine.cpu}, ${after.machine.cores} cores; Node ${after.node}`],
  ]);
  const content = `${differences.length === 0 ? '' : warning(differences)}
<p>${escapeHtml(METHOD)}</p>
${counts.map((streams) => section(streams, of(streams))).join('\n')}
${dropped.map(({ streams, ...packets }) => `<p class="note">${streams.toLocaleString('en')} streams: dropped ${escapeHtml(packets.before)}, then ${escapeHtml(packets.after)}.</p>`).join('\n')}`;
  return page('trunkline: two results compared', true, facts, content);
}

function section(streams: number, rows: readonly Row[]): string {
  const cells = rows.map((row) =>
    [
      `<th scope="row">${escapeHtml(row.figure)}</th>`,
      ...[figureText(row.before), figureText(row.after), (row.interval?.ratio ?? row.after / row.before).toFixed(3)],
      ...[intervalText(row.interval), row.rounds.join('/'), verdictOf(row)],
    ]
      .map((cell, i) => (i === 0 ? cell : `<td>${escapeHtml(cell)}</td>`))
      .join(''),
  );
  const titles = ['', 'first', 'second', 'second ÷ first', '95 %', 'rounds', ''];
  return `<section>
<h2>${streams.toLocaleString('en')} streams</h2>
<div class="wide">${picture('second ÷ first', intervals(rows))}</div>
<div class="scroll"><table><thead><tr>${titles.map((title) => `<th scope="col">${title}</th>`).join('')}</tr></thead>
<tbody>${cells.map((row) => `<tr>${row}</tr>`).join('\n')}</tbody></table></div>
</section>`;
}

/** A point with its interval for each figure; the line is where nothing has changed. */
function intervals(rows: readonly Row[]): string {
  const points = rows.map((row) => ({
    figure: row.figure,
    ratio: row.interval?.ratio ?? row.after / row.before,
    low: row.interval?.low ?? row.after / row.before,
    high: row.interval?.high ?? row.after / row.before,
  }));
  return svg({
    width: WIDTH,
    height: 60 + 28 * rows.length,
    marginLeft: 190,
    marginRight: 32,
    marginBottom: 44,
    x: { type: 'log', label: 'second ÷ first →', labelAnchor: 'right', grid: true, tickFormat: String, ticks: 6 },
    y: { label: null, domain: rows.map(({ figure }) => figure), tickSize: 0 },
    marks: [
      ruleX([1], { stroke: 'currentColor', strokeOpacity: 0.5 }),
      link(points, { x1: 'low', x2: 'high', y: 'figure', stroke: 'var(--node)', strokeWidth: 2.25 }),
      dot(points, { x: 'ratio', y: 'figure', fill: 'var(--node)', r: 4.5 }),
    ],
  });
}

function warning(differences: readonly string[]): string {
  const items = differences.map((difference) => `<li>${escapeHtml(difference)}</li>`).join('');
  return `<div class="warning"><strong>Not comparable as they are.</strong> The files differ in<ul>${items}</ul></div>`;
}
