import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadClips } from '../../../src/simulator/sound/speech.js';
import { PROMPTS } from './prompts.js';
import { fromWav, type Signal, toLine } from './signal.js';

/** `tuning` is for setting parameters, `test` for judging them. They share no text, no voice and no synthesizer. */
export type CorpusSet = 'tuning' | 'test';

/** Somebody who says some utterances. */
export interface Talker {
  readonly name: string;
  /** Debian packages that it needs. */
  readonly packages: readonly string[];
  isInstalled(): boolean;
  /** What it says, at the rate of the corpus and with the band of a telephone line. */
  utterances(): Signal[];
}

const MAX_WAV_BYTES = 64 << 20;
/** Of the recorded prompts, those of 1 to 7 s, and of them one in ten: some 30 of all kinds. */
const SHORTEST_PROMPT = 8_000;
const LONGEST_PROMPT = 56_000;
const PROMPT_STEP = 10;

function espeak(name: string, voice: string, texts: readonly string[]): Talker {
  return {
    name,
    packages: ['espeak-ng'],
    isInstalled: () => runs('espeak-ng', '--version'),
    utterances: () =>
      texts.map((text) =>
        toLine(fromWav(execFileSync('espeak-ng', ['-v', voice, '--stdout', text], { maxBuffer: MAX_WAV_BYTES }))),
      ),
  };
}

function flite(name: string, voice: string, texts: readonly string[]): Talker {
  return {
    name,
    packages: ['flite'],
    isInstalled: () => runs('flite', '--version'),
    utterances: () =>
      throughFile(texts, (text, file) => execFileSync('flite', ['-voice', voice, '-t', text, '-o', file])),
  };
}

function festival(name: string, voice: string, voicePackage: string, texts: readonly string[]): Talker {
  return {
    name,
    packages: ['festival', voicePackage],
    isInstalled: () =>
      runs('festival', '--version') && existsSync(`/usr/share/doc/${voicePackage}`) && runs('text2wave', '-h'),
    utterances: () =>
      throughFile(texts, (text, file) =>
        execFileSync('text2wave', ['-eval', `(voice_${voice})`, '-o', file], { input: text }),
      ),
  };
}

/** A person: the recorded prompts of Asterisk, telephone audio of 8 kHz. */
function recorded(name: string, folder: string, soundPackage: string): Talker {
  const place = join('/usr/share/asterisk/sounds', folder);
  return {
    name,
    packages: [soundPackage],
    isInstalled: () => existsSync(place),
    utterances: () =>
      readdirSync(place)
        .filter((file) => file.endsWith('.wav') && !/beep|tone|noise|music|silence|monkeys|spy-/.test(file))
        .sort()
        .map((file) => fromWav(readFileSync(join(place, file))))
        .filter(({ pcm }) => pcm.length > SHORTEST_PROMPT && pcm.length < LONGEST_PROMPT)
        .filter((_, index) => index % PROMPT_STEP === 0)
        .map(toLine),
  };
}

const TALKERS: Readonly<Record<CorpusSet, readonly Talker[]>> = {
  tuning: [
    espeak('espeak-en', 'en-us+m3', PROMPTS.tuning.en),
    espeak('espeak-de', 'de+f2', PROMPTS.tuning.de),
    espeak('espeak-fr', 'fr-fr', PROMPTS.tuning.fr),
    espeak('espeak-es', 'es+f4', PROMPTS.tuning.es),
    recorded('person-en', 'en_US_f_Allison', 'asterisk-core-sounds-en-wav'),
    recorded('person-fr', 'fr_CA_f_June', 'asterisk-core-sounds-fr-wav'),
  ],
  test: [
    flite('flite-rms', 'rms', PROMPTS.test.en),
    flite('flite-slt', 'slt', PROMPTS.test.en.toReversed()),
    festival('festival-it', 'lp_diphone', 'festvox-italp16k', PROMPTS.test.it),
    festival('festival-cs', 'czech_machac', 'festvox-czech-machac', PROMPTS.test.cs),
    festival('festival-fi', 'suo_fi_lj_diphone', 'festvox-suopuhe-lj', PROMPTS.test.fi),
    recorded('person-it', 'it_IT_m_Carlo', 'asterisk-core-sounds-it-wav'),
    recorded('person-ru', 'ru_RU_f_IvrvoiceRU', 'asterisk-core-sounds-ru-wav'),
  ],
};

/** The talkers of a set that this machine has, and the Debian packages that the others need. */
export function talkersOf(set: CorpusSet): { talkers: readonly Talker[]; missingPackages: readonly string[] } {
  const talkers = TALKERS[set].filter((talker) => talker.isInstalled());
  const missing = TALKERS[set].filter((talker) => !talkers.includes(talker));
  return { talkers, missingPackages: [...new Set(missing.flatMap(({ packages }) => packages))] };
}

/** The clips that the simulator plays, which need no package. */
export function shippedTalkers(): readonly Talker[] {
  return loadClips().map(({ name, sampleRate, pcm }) => ({
    name: `clip-${name}`,
    packages: [],
    isInstalled: () => true,
    utterances: () => [toLine({ sampleRate, pcm })],
  }));
}

function throughFile(texts: readonly string[], write: (text: string, file: string) => void): Signal[] {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-speech-'));
  try {
    return texts.map((text, index) => {
      const file = join(folder, `${index}.wav`);
      write(text, file);
      return toLine(fromWav(readFileSync(file)));
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether a program can be started; what it answers does not matter. */
function runs(program: string, argument: string): boolean {
  try {
    execFileSync(program, [argument], { stdio: 'ignore' });
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ENOENT');
  }
}
