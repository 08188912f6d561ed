import { describeProvenance } from '../provenance.js';
import { type CapacityOptions, type Undertaking, undertakingOf } from './options.js';
import type { SubjectKind } from './processes/messages.js';
import { mergeHistograms, percentileCurve } from './report/histogram.js';
import { isValid, latenessOf } from './report/statistics.js';
import {
  type CapacityReport,
  type CapacityRun,
  counting,
  cpuOf,
  decoderOf,
  deliveredOf,
  type LatencyCurves,
  type Rounds,
  summarise,
} from './report/summary.js';
import { type RunReport, runDecodeLoop, runSubject } from './run.js';

export type Progress = (line: string) => void;

/** @throws TrunklineError CONFIG_INVALID before anything is run, for options that do not fit the source. */
export async function runCapacity(
  options: CapacityOptions,
  progress: Progress,
): Promise<{ readonly report: CapacityReport; readonly curves: readonly LatencyCurves[] }> {
  const provenance = describeProvenance(options.smoke);
  const runs: CapacityRun[] = [];
  const curves: LatencyCurves[] = [];
  let backend = '';
  for (const undertaking of options.sweep.map((streams) => undertakingOf(options, streams))) {
    const rounds = await alternate(undertaking, options, progress);
    runs.push(summarise(undertaking.load, options, rounds));
    curves.push(curvesOf(undertaking, rounds));
    backend = rounds.node[0]?.subject.backend ?? backend;
  }
  return { report: { ...provenance, backend, settings: settingsOf(options), runs }, curves };
}

/** What makes figures comparable: everything but how many streams and rounds there were. */
function settingsOf({
  sweep: _sweep,
  repeat: _repeat,
  baselines: _baselines,
  ...settings
}: CapacityOptions): CapacityReport['settings'] {
  return settings;
}

/** Node and baselines in turn, so that other load on the machine affects them alike. */
async function alternate(undertaking: Undertaking, options: CapacityOptions, progress: Progress): Promise<Rounds> {
  const { load, baselines } = undertaking;
  const rounds: Rounds = { node: [], bareWs: [], tutorial: [], plain: [], decodeLoops: [] };
  for (let round = 0; round < options.repeat; round++) {
    for (const kind of ['node', ...baselines] as const) {
      const run = await runSubject(kind, undertaking, options);
      rounds[kind].push(run);
      progress(
        `${load.streams} ${load.codec} streams, round ${round + 1} of ${options.repeat}, ${kind}: ${describeRun(run)}`,
      );
    }
    if (load.codec === 'opus') {
      const cpuMicros = await runDecodeLoop(load, decoderOf(rounds.node));
      if (cpuMicros !== undefined) rounds.decodeLoops.push(cpuMicros);
    }
  }
  return rounds;
}

function describeRun(run: RunReport): string {
  const { p99, max } = latenessOf([run.generator.lateness]);
  const lag = isValid(run.generator) ? '' : `, INVALID: generator late by ${p99} µs at p99, ${max} µs at most`;
  const { packetsSent } = run.generator;
  const errors = Object.entries(run.generator.calls?.errors ?? {}).map(([name, count]) => `, ${count} ${name}`);
  const missing = packetsSent - deliveredOf(run);
  return `${cpuOf(run.subject).toFixed(2)} µs a packet, ${missing} of ${packetsSent} missing${errors.join('')}${lag}`;
}

function curvesOf({ load }: Undertaking, rounds: Rounds): LatencyCurves {
  const curve = (
    series: LatencyCurves['curves'][number]['series'],
    kind: SubjectKind,
    of: 'delivered' | 'processed',
  ): LatencyCurves['curves'] => {
    const encoded = counting(rounds[kind]).runs.flatMap(({ subject }) => subject[of] ?? []);
    return encoded.length === 0 ? [] : [{ series, points: percentileCurve(mergeHistograms(encoded)) }];
  };
  return {
    streams: load.streams,
    curves: [
      ...curve('tutorial', 'tutorial', 'delivered'),
      ...curve('decoded', 'node', 'processed'),
      ...curve('node', 'node', 'delivered'),
    ],
  };
}
