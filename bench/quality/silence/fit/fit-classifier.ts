import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { FEATURES } from '../../../../src/audio/adaptive/features.js';
import { HIDDEN } from '../../../../src/audio/adaptive/weights.js';
import { BIASES, OUTPUT, OUTPUT_BIAS_AT, odds, train } from './perceptron.js';
import { type Hops, joined, timesOf, tuningFiles } from './tuning-set.js';

/**
 * Fits the weights of the adaptive silence detector's classifier (src/audio/adaptive/classifier.ts) to the tuning set of
 * the corpus. Prints how many hops of it are right, and writes weights.ts and weights.rs into the folder that is given;
 * without a folder, to src/audio/adaptive and native/dsp/src/audio/adaptive:
 *
 *     node dist/bench/quality/silence/fit/fit-classifier.js [FOLDER]
 */

const SHIPPED = { ts: 'src/audio/adaptive', rs: 'native/dsp/src/audio/adaptive' };
const WIDTH = 120;

/** With four digits, as both languages write them. */
function literal(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function rustLiteral(value: number): string {
  const digits = literal(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

/** As many numbers a line as fit. */
function filled(texts: readonly string[]): string {
  const lines: string[] = [];
  let line = '';
  for (const text of texts) {
    const longer = line === '' ? `  ${text},` : `${line} ${text},`;
    if (longer.length > WIDTH) lines.push(line);
    line = longer.length > WIDTH ? `  ${text},` : longer;
  }
  return [...lines, line].join('\n');
}

function typeScript(weights: Float64Array): string {
  const list = (from: number, count: number) => Array.from(weights.subarray(from, from + count), literal);
  return `// Fitted by bench/quality/silence/fit/fit-classifier.ts. native/dsp/src/audio/adaptive/weights.rs has the same numbers.

/** Hidden sums of the classifier. */
export const HIDDEN = ${HIDDEN};
/** By feature, then by hidden sum. */
export const HIDDEN_WEIGHTS = new Float64Array([
${filled(list(0, BIASES))}
]);
export const HIDDEN_BIAS = new Float64Array([${list(BIASES, HIDDEN).join(', ')}]);
export const OUTPUT_WEIGHTS = new Float64Array([${list(OUTPUT, HIDDEN).join(', ')}]);
export const OUTPUT_BIAS = ${literal(weights[OUTPUT_BIAS_AT] as number)};
`;
}

function rust(weights: Float64Array): string {
  const row = (from: number) => `[${Array.from(weights.subarray(from, from + HIDDEN), rustLiteral).join(', ')}]`;
  const rows = Array.from({ length: FEATURES }, (_, feature) => `    ${row(feature * HIDDEN)},`);
  return `//! Fitted by bench/quality/silence/fit/fit-classifier.ts. src/audio/adaptive/weights.ts has the same numbers.

/// Hidden sums of the classifier.
pub const HIDDEN: usize = ${HIDDEN};
/// By feature, then by hidden sum.
#[rustfmt::skip]
pub const HIDDEN_WEIGHTS: [[f64; HIDDEN]; ${FEATURES}] = [
${rows.join('\n')}
];
#[rustfmt::skip]
pub const HIDDEN_BIAS: [f64; HIDDEN] = ${row(BIASES)};
#[rustfmt::skip]
pub const OUTPUT_WEIGHTS: [f64; HIDDEN] = ${row(OUTPUT)};
pub const OUTPUT_BIAS: f64 = ${rustLiteral(weights[OUTPUT_BIAS_AT] as number)};
`;
}

function shareRight(weights: Float64Array, { features, speech }: Hops): number {
  const hidden = new Float64Array(HIDDEN);
  const right = speech.reduce((sum, isSpeech, hop) => {
    const input = features.subarray(hop * FEATURES, (hop + 1) * FEATURES);
    return sum + (odds(weights, input, hidden) > 0 === (isSpeech === 1) ? 1 : 0);
  }, 0);
  return right / speech.length;
}

const hops = joined(
  [...tuningFiles()].flatMap(({ condition, features, speech }) =>
    Array.from({ length: timesOf(condition) }, () => ({ features, speech })),
  ),
);
const weights = train(hops);
process.stdout.write(
  `${(100 * shareRight(weights, hops)).toFixed(1)} % of ${hops.speech.length} hops of the tuning set are right\n`,
);
const folder = process.argv[2];
if (folder !== undefined) mkdirSync(folder, { recursive: true });
writeFileSync(join(folder ?? SHIPPED.ts, 'weights.ts'), typeScript(weights));
writeFileSync(join(folder ?? SHIPPED.rs, 'weights.rs'), rust(weights));
