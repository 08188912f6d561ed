import { areaY, axisX, axisY, barX, dot, line, ruleX } from '@observablehq/plot';
import { readSpeech, type SpeechSegment } from '../../../src/evaluation/silence/labels.js';
import { FRAME_MS } from '../../../src/evaluation/silence/score.js';
import { pcmOf, readAudio } from '../../../src/evaluation/wav-audio.js';
import { svg } from '../../page/svg.js';
import type { ConcealmentRow } from '../concealment.js';
import type { Example } from '../silence/rows.js';

const WIDTH = 992;
const LOWEST_DBFS = -80;
const LEVEL_HEIGHT = 110;
const BAND_HEIGHT = 22;
const MARGIN_LEFT = 170;

interface Band {
  readonly row: string;
  readonly start: number;
  readonly end: number;
  readonly colour: string;
}

/** The level of a file over time, and below it bands where there is speech: in truth, by flags and by spans. */
export function examplePlot({ file, detections }: Example, names: readonly string[]): string {
  const shown = names.filter((name) => detections[name] !== undefined);
  const truth = readSpeech(file.replace(/\.wav$/, '.json'));
  const bands: Band[] = [
    ...bandsOf('true speech', truth, 'var(--bare)'),
    ...shown.flatMap((name) => {
      const { liveSpeech, speechSpans } = detections[name] ?? { liveSpeech: new Uint8Array(0), speechSpans: [] };
      return [
        ...bandsOf(`${name}, live`, runs(liveSpeech), 'var(--decoded)'),
        ...bandsOf(`${name}, spans`, speechSpans, 'var(--node)'),
      ];
    }),
  ];
  const rows = ['true speech', ...shown.flatMap((name) => [`${name}, live`, `${name}, spans`])];
  const levels = levelsOf(file);
  const seconds = (levels.length * FRAME_MS) / 1000;
  const level = svg({
    width: WIDTH,
    height: LEVEL_HEIGHT,
    marginLeft: MARGIN_LEFT,
    marginRight: 24,
    marginBottom: 6,
    x: { domain: [0, seconds], axis: null },
    y: {
      domain: [LOWEST_DBFS, 0],
      label: null,
      ticks: [-80, -60, -40, -20, 0],
      grid: true,
      tickFormat: (d: number) => `${d} dBFS`,
    },
    marks: [
      areaY(levels, {
        x: 'at',
        y1: LOWEST_DBFS,
        y2: 'dbfs',
        fill: 'var(--soft)',
        fillOpacity: 0.6,
        curve: 'step-after',
      }),
    ],
  });
  const below = svg({
    width: WIDTH,
    height: BAND_HEIGHT * rows.length + 44,
    marginLeft: MARGIN_LEFT,
    marginRight: 24,
    marginTop: 4,
    x: { domain: [0, seconds] },
    y: { type: 'band', domain: rows, padding: 0.25 },
    marks: [
      axisX({ label: 'seconds →', labelAnchor: 'right' }),
      axisY({ label: null, tickSize: 0 }),
      barX(bands, { x1: 'start', x2: 'end', y: 'row', fill: 'colour' }),
      ruleX([0], { stroke: 'currentColor', strokeOpacity: 0.4 }),
    ],
  });
  return level + below;
}

function bandsOf(row: string, segments: readonly SpeechSegment[], colour: string): Band[] {
  return segments.map(([start, end]) => ({ row, start: start / 1000, end: end / 1000, colour }));
}

function runs(flags: Uint8Array): SpeechSegment[] {
  const found: [number, number][] = [];
  for (const [frame, flag] of flags.entries()) {
    if (flag === 0) continue;
    const last = found.at(-1);
    if (last !== undefined && last[1] === frame * FRAME_MS) last[1] += FRAME_MS;
    else found.push([frame * FRAME_MS, (frame + 1) * FRAME_MS]);
  }
  return found;
}

/** Level of each frame, at most one in two pixels wide. */
function levelsOf(file: string): { at: number; dbfs: number }[] {
  const audio = readAudio(file);
  const pcm = pcmOf(audio);
  const frameSamples = (audio.sampleRate * FRAME_MS) / 1000;
  return Array.from({ length: Math.floor(pcm.length / frameSamples) }, (_, frame) => {
    let sum = 0;
    for (let i = 0; i < frameSamples; i++) sum += (pcm[frame * frameSamples + i] as number) ** 2;
    const dbfs = 10 * Math.log10(sum / frameSamples / 2 ** 30 + 1e-12);
    return { at: (frame * FRAME_MS) / 1000, dbfs: Math.max(LOWEST_DBFS, dbfs) };
  });
}

const METHODS = {
  zeroFill: ['silence', 'var(--bare)'],
  mirrored: ['the former way', 'var(--tutorial)'],
  periods: ['pitch periods', 'var(--decoded)'],
  periodsToNext: ['pitch periods, next packet known', 'var(--node)'],
} as const;

/** Colours and names of concealmentPlot(). */
export const CONCEALMENT_LEGEND: readonly (readonly [colour: string, name: string])[] = Object.values(METHODS).map(
  ([name, colour]) => [colour.slice('var(--'.length, -1), name],
);

export function concealmentPlot(rows: readonly ConcealmentRow[], pattern: ConcealmentRow['pattern']): string {
  const points = rows
    .filter((row) => row.pattern === pattern)
    .flatMap((row) =>
      Object.entries(METHODS).map(([method, [name, colour]]) => ({
        lossPercent: row.lossPercent,
        decibels: row[method as keyof typeof METHODS],
        name,
        colour,
      })),
    );
  return svg({
    width: WIDTH / 2,
    height: 260,
    marginLeft: 48,
    marginBottom: 44,
    x: { label: 'lost packets, % →', labelAnchor: 'right' },
    y: { label: '↑ distance, dB', grid: true, zero: true },
    marks: [
      line(points, { x: 'lossPercent', y: 'decibels', z: 'name', stroke: 'colour', strokeWidth: 2.25 }),
      dot(points, { x: 'lossPercent', y: 'decibels', fill: 'colour', r: 4 }),
    ],
  });
}
