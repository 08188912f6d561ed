import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { TrunklineError } from '../../../src/core/errors.js';
import { SeededRandom } from '../../../src/simulator/network/random.js';
import { CONDITIONS, type Condition } from './conditions.js';
import { FILLERS } from './fillers.js';
import { babble, car, type NoiseKind, street, white } from './noise.js';
import { type Phrase, phrasesOf } from './phrases.js';
import { addTo, faded, fromDecibels, RATE, type Signal, scaled, ulawWav } from './signal.js';
import { type CorpusSet, shippedTalkers, type Talker, talkersOf } from './talkers.js';
import { longPauses, pausesOf, shuffled, type Timeline, timeline, usualPauses } from './timeline.js';

/** To be raised with every change of what the files contain: corpora of another version are made again. */
const VERSION = 3;
const SEED = 20_260;
const BABBLE_VOICES = 5;
/** Between speech and what sounds in the pause. */
const FILLER_MARGIN = RATE / 10;
const FILLER_FADE = RATE / 100;
const WORKING_NAME = 'index.json.tmp';

/** What is in a corpus; `index.json` in its folder. */
export interface CorpusIndex {
  readonly version: number;
  readonly set: CorpusSet | 'shipped';
  readonly seconds: number;
  readonly talkers: readonly string[];
  /** Debian packages whose voices are not in it, since they are not installed. */
  readonly missingPackages: readonly string[];
  /** File names are `<condition>/<talker>.wav`, and `.json` for the true speech. */
  readonly conditions: readonly Condition[];
}

export interface Corpus extends CorpusIndex {
  readonly folder: string;
}

export interface CorpusOptions {
  /** `shipped` needs no synthesizer: it is made of the clips of the simulator. */
  readonly set: CorpusSet | 'shipped';
  /** Length of each file. */
  readonly seconds: number;
  readonly conditions?: readonly Condition[];
  /** Each set gets a folder in it; default: `trunkline/quality` in the user's cache folder. */
  readonly folder?: string;
  readonly log?: (line: string) => void;
}

/** Where corpora are kept: never in the checkout. */
export function defaultCorpusFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'trunkline', 'quality');
}

/**
 * The corpus of these options, made unless it is there. The same options, voices and versions of synthesizers give the
 * same files.
 *
 * @throws TrunklineError CONFIG_INVALID when no voice of the set is installed.
 */
export function corpus(options: CorpusOptions): Corpus {
  const { set, seconds, conditions = CONDITIONS, log = () => {} } = options;
  const { talkers, missingPackages } =
    set === 'shipped' ? { talkers: shippedTalkers(), missingPackages: [] } : talkersOf(set);
  if (missingPackages.length > 0) {
    log(`Some voices of the ${set} set are not installed: apt-get install ${missingPackages.join(' ')}`);
  }
  if (talkers.length === 0) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      `There is no voice for the ${set} set; apt-get install ${missingPackages.join(' ')}`,
    );
  }
  const folder = join(options.folder ?? defaultCorpusFolder(), `${set}-${seconds}s`);
  const index: CorpusIndex = {
    ...{ version: VERSION, set, seconds, talkers: talkers.map(({ name }) => name) },
    ...{ missingPackages, conditions },
  };
  const file = join(folder, 'index.json');
  const text = JSON.stringify(index, undefined, 2);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return { ...index, folder };
  write(folder, index, talkers, log);
  writeFileSync(join(folder, WORKING_NAME), text);
  renameSync(join(folder, WORKING_NAME), file);
  return { ...index, folder };
}

function write(
  folder: string,
  { set, seconds, conditions }: CorpusIndex,
  talkers: readonly Talker[],
  log: (line: string) => void,
): void {
  for (const { name } of conditions) mkdirSync(join(folder, name), { recursive: true });
  const voices = talkers.map((talker) => {
    log(`${set}: ${talker.name} speaks`);
    const phrases = talker.utterances().flatMap(phrasesOf);
    if (phrases.length > 0) return phrases;
    throw new TrunklineError('FILE_INVALID', `Nothing of what the voice ${talker.name} says is speech by its level.`);
  });
  const setNumber = ['tuning', 'test', 'shipped'].indexOf(set);
  for (const [number, { name }] of talkers.entries()) {
    log(`${set}: ${name} is mixed under ${conditions.length} conditions`);
    const others = voices.filter((_, other) => other !== number);
    const mixer = new Mixer(voices[number] as readonly Phrase[], others, seconds, [setNumber, number]);
    for (const condition of conditions) {
      const { signal, speech } = mixer.mix(condition);
      writeFileSync(join(folder, condition.name, `${name}.wav`), ulawWav(signal));
      writeFileSync(join(folder, condition.name, `${name}.json`), JSON.stringify(speech));
    }
  }
}

/** One talker under any condition: always the same words at the same times, and the same noise at each level. */
class Mixer {
  readonly #phrases: readonly Phrase[];
  readonly #others: readonly (readonly Phrase[])[];
  readonly #seconds: number;
  readonly #path: readonly number[];
  readonly #usual: Timeline;
  readonly #noises = new Map<NoiseKind, Signal>();

  constructor(
    phrases: readonly Phrase[],
    others: readonly (readonly Phrase[])[],
    seconds: number,
    path: readonly number[],
  ) {
    this.#phrases = phrases;
    this.#others = others;
    this.#seconds = seconds;
    this.#path = path;
    this.#usual = timeline(phrases, seconds, usualPauses, this.#random(0));
  }

  mix({ levelDbfs, noise, snrDb = 0, filler, dcOffset = 0 }: Condition): Timeline {
    const base =
      filler === undefined ? this.#usual : timeline(this.#phrases, this.#seconds, longPauses, this.#random(1));
    const level = fromDecibels(levelDbfs);
    const signal = scaled(base.signal, level);
    if (noise !== undefined) addTo(signal, this.#noise(noise), 0, level * fromDecibels(-snrDb));
    if (filler !== undefined) {
      const random = this.#random(2);
      for (const [start, end] of pausesOf(base)) {
        const length = end - start - 2 * FILLER_MARGIN;
        if (length <= 0) continue;
        addTo(signal, faded(FILLERS[filler](length, random), FILLER_FADE), start + FILLER_MARGIN, level / 2);
      }
    }
    return { signal: dcOffset === 0 ? signal : signal.map((sample) => sample + dcOffset), speech: base.speech };
  }

  #noise(kind: NoiseKind): Signal {
    const made = this.#noises.get(kind) ?? this.#makeNoise(kind, this.#seconds * RATE);
    this.#noises.set(kind, made);
    return made;
  }

  #makeNoise(kind: NoiseKind, length: number): Signal {
    const random = this.#random(['white', 'car', 'street', 'babble'].indexOf(kind) + 3);
    switch (kind) {
      case 'white':
        return white(length, random);
      case 'car':
        return car(length, random);
      case 'street':
        return street(length, random);
      case 'babble': {
        const voices = Array.from(
          { length: BABBLE_VOICES },
          (_, i) => this.#others[i % this.#others.length] ?? this.#phrases,
        );
        const phrases = voices.map((voice) =>
          shuffled(
            voice.map((phrase) => phrase.signal),
            random,
          ),
        );
        return babble(length, phrases, random);
      }
    }
  }

  #random(use: number): SeededRandom {
    return new SeededRandom(SEED, ...this.#path, use);
  }
}
