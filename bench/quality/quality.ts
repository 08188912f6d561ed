import { describeProvenance, type Provenance } from '../provenance.js';
import { type ConcealmentRow, concealmentRows } from './concealment.js';
import { CONDITIONS } from './corpus/conditions.js';
import { type Corpus, corpus } from './corpus/corpus.js';
import { type CorpusSet, talkersOf } from './corpus/talkers.js';
import { type JitterRow, jitterRows } from './jitter.js';
import { type ShardCost, shardCosts } from './silence/cost.js';
import { allDetectors, OWN } from './silence/detectors.js';
import { calibratedMarks, type Mark, marksOf } from './silence/marks.js';
import { type Example, type SilenceRows, silenceRows } from './silence/rows.js';

export interface QualityOptions {
  readonly set: CorpusSet | 'shipped';
  readonly seconds: number;
  readonly folder?: string;
  readonly native: 'off' | 'auto' | 'require';
  /** A few conditions of the shipped clips and few detectors: shows that everything works. */
  readonly quick: boolean;
  /** Only detectors whose name contains this. */
  readonly only: string;
  readonly log: (line: string) => void;
}

export interface QualityReport extends Provenance {
  readonly corpus: Omit<Corpus, 'folder' | 'conditions'>;
  readonly silence: SilenceRows;
  /** Of the engine's own detectors, by name. */
  readonly marks: Readonly<Record<string, readonly Mark[]>>;
  readonly shardCosts: readonly ShardCost[];
  readonly concealment: readonly ConcealmentRow[];
  readonly jitter: readonly JitterRow[];
}

const COST_ROUNDS = 200;
const QUICK_COST_ROUNDS = 5;
const QUICK_SECONDS = 20;
const QUICK_CONDITIONS = ['clean', 'white-20', 'car-10', 'babble-10', 'music'];

/** Makes the corpus unless it is there, and lets every detector take all of it. */
export async function runQuality(
  options: QualityOptions,
): Promise<{ report: QualityReport; examples: readonly Example[] }> {
  const { quick, folder, log, native, only } = options;
  const provenance = describeProvenance(quick);
  const made = corpus({
    set: setFor(options),
    seconds: quick ? QUICK_SECONDS : options.seconds,
    ...(folder !== undefined && { folder }),
    ...(quick && { conditions: CONDITIONS.filter(({ name }) => QUICK_CONDITIONS.includes(name)) }),
    log,
  });
  const { rows: silence, examples } = await silenceRows(made, await allDetectors({ native, quick, only, log }), log);
  log('cost of the detectors');
  const costs = shardCosts(quick ? QUICK_COST_ROUNDS : COST_ROUNDS);
  log('concealment, jitter');
  const { folder: _, conditions: __, ...told } = made;
  return {
    report: {
      ...provenance,
      corpus: told,
      silence,
      marks: {
        ...Object.fromEntries([OWN.adaptive, OWN.neural].map((name) => [name, marksOf(silence, name)])),
        [OWN.calibrated]: calibratedMarks(silence, OWN.calibrated),
      },
      shardCosts: costs,
      concealment: concealmentRows(quick ? 1 : undefined),
      jitter: await jitterRows(quick ? 1 : undefined, log),
    },
    examples,
  };
}

/** The shipped clips where no synthesizer is installed, and the log says so. */
function setFor({ set, quick, log }: QualityOptions): CorpusSet | 'shipped' {
  if (quick || set === 'shipped') return 'shipped';
  const { talkers, missingPackages } = talkersOf(set);
  if (talkers.length > 0) return set;
  log(
    `skipped: no voice of the ${set} set is installed (apt-get install ${missingPackages.join(' ')}). ` +
      'The clips that trunkline ships with are used instead: few voices, all of one synthesizer.',
  );
  return 'shipped';
}
