import type { Calibration, CalibrationVerdict } from '../../audio/calibrate.js';

/** A measured channel. */
export interface MeasuredChannel extends Calibration {
  readonly name: string;
}

export interface CalibrationReport {
  /** For all channels: the highest of theirs. */
  readonly threshold: number;
  readonly channels: readonly MeasuredChannel[];
}

const VERDICTS: Readonly<Record<CalibrationVerdict, string>> = {
  works: 'A fixed threshold works: silence returns, and speech is found.',
  noSpeech:
    'Nothing stands out from the ambient sound. If somebody spoke, no threshold works: use the adaptive detector.',
  noThreshold:
    'Somebody speaks, but hardly louder than the ambient sound: no threshold works. Use the adaptive detector.',
  noSilence: 'The sound never stays at one level for half a second: no threshold works. Use the adaptive detector.',
};

export function verdictText(verdict: CalibrationVerdict): string {
  return VERDICTS[verdict];
}

/** Whether one of the channels has speech, or no silence, that no threshold tells apart. */
export function isAnyWithoutThreshold(channels: readonly MeasuredChannel[]): boolean {
  return channels.some(({ verdict }) => verdict === 'noThreshold' || verdict === 'noSilence');
}

/** The report as a page without scripts or references: a table and a histogram of the levels of each channel. */
export function calibrationHtml(report: CalibrationReport): string {
  const threshold = round4(report.threshold);
  const fixedText = isAnyWithoutThreshold(report.channels)
    ? 'No fixed threshold works for all of it.'
    : `For a fixed threshold: <code>--silence-detector fixed --silence-threshold ${threshold}</code>. Silence then returns below ${round4(report.threshold / 2)}.`;
  const parts = report.channels.map(
    (channel) => `<section>
<h2>${escapeText(channel.name)}</h2>
<p class="verdict ${channel.verdict}">${VERDICTS[channel.verdict]}</p>
${histogramSvg(channel, report.threshold)}
<table>${rowsOf(channel)
      .map(([name, value]) => `<tr><th scope="row">${name}</th><td>${value}</td></tr>`)
      .join('')}</table>
</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Calibration of silence detection</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#fff;max-width:860px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:2rem 0 .25rem}
code{background:#eef1f5;padding:.1em .35em;border-radius:4px}
.verdict{border-left:4px solid #1a7f37;padding:.25rem .75rem;background:#f3faf4}.noSpeech{border-color:#9a6700;background:#fff8e6}.noSilence,.noThreshold{border-color:#b42318;background:#fef3f2}
table{border-collapse:collapse;margin-top:.75rem}th,td{text-align:left;padding:.2rem 1.5rem .2rem 0;border-bottom:1px solid #e3e7ec;font-weight:normal}td{font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto}
</style></head>
<body>
<h1>Calibration of silence detection</h1>
<p>Recommended: the adaptive detector, which follows the ambient sound of each channel by itself. ${fixedText}</p>
${parts.join('\n')}
</body>
</html>
`;
}

/** All histograms, one below the other. */
export function calibrationSvg({ threshold, channels }: CalibrationReport): string {
  const charts = channels.map(
    (channel, i) =>
      `<svg y="${i * HEIGHT}" width="${WIDTH}" height="${HEIGHT}">${chart(channel, threshold, true)}</svg>`,
  );
  const height = HEIGHT * channels.length;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${charts.join('')}</svg>\n`;
}

const WIDTH = 820;
const HEIGHT = 300;
const LEFT = 44;
const RIGHT = 16;
const TOP = 70;
const BOTTOM = 46;
const SILENCE = '#7a8799';
const SPEECH = '#1f6feb';
const LINE = '#b42318';
const AMBIENT = '#1a7f37';

function histogramSvg(channel: MeasuredChannel, threshold: number): string {
  const label = `Histogram of the levels of ${escapeText(channel.name)}, with the threshold`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}" font-family="system-ui,sans-serif" font-size="12">${chart(channel, threshold, false)}</svg>`;
}

function chart(channel: MeasuredChannel, threshold: number, withTitle: boolean): string {
  const { histogram } = channel;
  const counts = histogram.silence.map((count, i) => count + (histogram.speech[i] as number));
  const all = Math.max(
    1,
    counts.reduce((sum, count) => sum + count, 0),
  );
  const highest = Math.max(1, ...counts);
  const first = counts.findIndex((count) => count > 0);
  const from = Math.min(first < 0 ? -80 : histogram.fromDbfs + first, decibels(threshold) - 20);
  const start = Math.max(-96, Math.floor(from / 10) * 10);
  const x = (dbfs: number) => LEFT + ((Math.max(start, Math.min(0, dbfs)) - start) / -start) * (WIDTH - LEFT - RIGHT);
  const y = (count: number) => HEIGHT - BOTTOM - (count / highest) * (HEIGHT - TOP - BOTTOM);
  const bars = counts.map((count, i) => {
    const dbfs = histogram.fromDbfs + i;
    if (count === 0 || dbfs < start) return '';
    const silence = histogram.silence[i] as number;
    const width = Math.max(1, x(dbfs + 1) - x(dbfs) - 1);
    const bar = (low: number, high: number, fill: string) =>
      high > low
        ? `<rect x="${n(x(dbfs))}" y="${n(y(high))}" width="${n(width)}" height="${n(y(low) - y(high))}" fill="${fill}"/>`
        : '';
    return bar(0, silence, SILENCE) + bar(silence, count, SPEECH);
  });
  const ticks: string[] = [];
  for (let dbfs = start; dbfs <= 0; dbfs += 10) {
    ticks.push(
      `<text x="${n(x(dbfs))}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle" fill="#4b5563">${dbfs}</text>`,
    );
  }
  const axis = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM}" stroke="#9aa4b2"/>`;
  const share = `<text x="${LEFT - 6}" y="${TOP + 4}" text-anchor="end" fill="#4b5563">${Math.round((100 * highest) / all)} %</text><text x="${LEFT - 6}" y="${HEIGHT - BOTTOM}" text-anchor="end" fill="#4b5563">0</text>`;
  const title = withTitle
    ? `<text x="${LEFT}" y="16" font-weight="bold" fill="#1c2430">${escapeText(channel.name)}</text>`
    : '';
  const key = (at: number, fill: string, text: string) =>
    `<rect x="${at}" y="7" width="10" height="10" fill="${fill}"/><text x="${at + 15}" y="16" fill="#1c2430">${text}</text>`;
  const lines = [
    [channel.ambientRms, 'ambient', AMBIENT, 32],
    [threshold / 2, 'silence returns', LINE, 46],
    [threshold, 'threshold', LINE, 60],
    [channel.speechRms, 'speech', SPEECH, 32],
  ] as const;
  const marks = lines.map(([level, name, stroke, labelY]) => {
    if (level <= 0) return '';
    const at = x(decibels(level));
    const isRight = at > WIDTH - 190;
    const dash = name === 'silence returns' ? ' stroke-dasharray="4 3"' : '';
    return `<line x1="${n(at)}" x2="${n(at)}" y1="${labelY - 8}" y2="${HEIGHT - BOTTOM}" stroke="${stroke}"${dash}/><text x="${n(isRight ? at - 4 : at + 4)}" y="${labelY}" text-anchor="${isRight ? 'end' : 'start'}" fill="${stroke}">${name} ${decibels(level).toFixed(1)}</text>`;
  });
  return `${title}${key(WIDTH - 270, SILENCE, 'found as silence')}${key(WIDTH - 140, SPEECH, 'found as speech')}${axis}${share}${bars.join('')}${marks.join('')}${ticks.join('')}<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle" fill="#4b5563">level of 20 ms in dBFS</text>`;
}

function rowsOf(channel: MeasuredChannel): (readonly [string, string])[] {
  const { levelsDbfs, separationDb } = channel;
  const level = (rms: number) => (rms > 0 ? `${round4(rms)} (${decibels(rms).toFixed(1)} dBFS)` : 'none');
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    ['Length', `${channel.seconds.toFixed(1)} s`],
    ['Ambient sound', level(channel.ambientRms)],
    ['Speech', level(channel.speechRms)],
    ['Separation', separationDb === null ? 'none' : `${separationDb.toFixed(1)} dB`],
    ['Peak', level(channel.peak)],
    [
      'Levels below which 5, 10, 50, 90, 95 % lie',
      levelsDbfs === null
        ? 'digital silence'
        : `${Object.values(levelsDbfs)
            .map((dbfs) => dbfs.toFixed(1))
            .join(', ')} dBFS`,
    ],
    ['Own threshold', level(channel.threshold)],
    ['Silence with it', percent(channel.silenceShare)],
    ['Digital silence', percent(channel.digitalSilenceShare)],
  ];
}

function decibels(rms: number): number {
  return 20 * Math.log10(rms);
}

function round4(value: number): string {
  return value.toFixed(4);
}

function n(value: number): string {
  return value.toFixed(1);
}

function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
