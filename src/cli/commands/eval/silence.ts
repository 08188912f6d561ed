import { type Command, Option } from 'commander';
import { TrunklineError } from '../../../core/errors.js';
import type { HitRates, SilenceScore } from '../../../evaluation/silence/evaluate.js';
import { numberFrom } from '../../arguments.js';
import { print, printJson } from '../../process/output.js';

interface SilenceFlags {
  readonly wav: string;
  readonly speech: string;
  readonly channel: number;
  readonly mode?: 'adaptive' | 'fixed' | 'neural';
  readonly threshold?: number;
  readonly native: 'off' | 'auto' | 'require';
  readonly spans?: boolean;
  readonly json?: boolean;
}

export function registerEvalSilence(group: Command): Command {
  return group
    .command('silence')
    .description('how well silence is detected in audio of which the true speech is known')
    .requiredOption(
      '--wav <file>',
      'WAV file of 8 to 48 kHz (PCM, floating point, A-law or µ-law), FLAC or Ogg Opus file, or folder of a recording',
    )
    .requiredOption('--speech <file>', 'true speech as JSON: [[startMs, endMs], …]')
    .option('--channel <n>', 'channel of the file, from 0', numberFrom(0, 255), 0)
    .addOption(
      new Option('--mode <name>', "the detector (default: the engine's)").choices(['adaptive', 'fixed', 'neural']),
    )
    .option('--threshold <rms>', 'silence threshold, with --mode fixed (default: 0.01)', numberFrom(0, 1, 'any'))
    .addOption(
      new Option('--native <use>', 'use of the native module').choices(['off', 'auto', 'require']).default('auto'),
    )
    .option('--spans', 'also give the spans of speech that were found, as --speech has them')
    .option('--json', 'print the result as one JSON object')
    .addHelpText(
      'after',
      `
The audio goes through an engine as a call does: jitter buffer, shard, detector. Frames of 20 ms are compared with the
truth, in percent: accuracy of all frames, speechHit of those that are speech, nonSpeechHit of the others. "live" is
the flag that a frame has when it comes out of the engine; "spans" is what a recording's session.json says afterwards.
The onset error is the distance from where speech truly begins to where its span does.

Example:
  $ trunkline eval silence --wav call.wav --speech call.json --json`,
    )
    .action(async ({ wav, speech, channel, mode, threshold, native, spans, json }: SilenceFlags) => {
      if (threshold !== undefined && mode !== 'fixed') {
        throw new TrunklineError('CONFIG_INVALID', '--threshold is of the fixed detector: add --mode fixed.');
      }
      const { readAudio } = await import('../../../evaluation/wav-audio.js');
      const { readSpeech } = await import('../../../evaluation/silence/labels.js');
      const { SilenceDetection } = await import('../../../evaluation/silence/detection.js');
      const { evaluateSilence } = await import('../../../evaluation/silence/evaluate.js');
      const audio = readAudio(wav, channel);
      const truth = readSpeech(speech);
      const detection = await SilenceDetection.start({
        native,
        ...(mode !== undefined && { silenceDetector: mode }),
        ...(threshold !== undefined && { silenceThreshold: threshold }),
      });
      try {
        const { score, speechSpans } = await evaluateSilence(detection, audio, truth);
        if (json) printJson(spans ? { ...score, speechSpans } : score);
        else print(report(score, spans ? speechSpans : []));
      } finally {
        await detection.close();
      }
    });
}

function report(score: SilenceScore, spans: readonly (readonly [number, number])[]): string {
  const { frames, live, spans: recorded, onsetErrorMillis: onset } = score;
  return [
    `${frames} frames of 20 ms`,
    `live:  ${rates(live)}`,
    `spans: ${rates(recorded)}`,
    `onsets found ${onset.found}, missed ${onset.missed}; error p50 ${millis(onset.p50)}, p95 ${millis(onset.p95)}`,
    ...spans.map(([start, end]) => `speech from ${Math.round(start)} to ${Math.round(end)} ms`),
    '',
  ].join('\n');
}

function rates({ accuracy, speechHit, nonSpeechHit }: HitRates): string {
  return `accuracy ${accuracy} %, speech found ${percent(speechHit)}, non-speech found ${percent(nonSpeechHit)}`;
}

function percent(value: number | null): string {
  return value === null ? '(none)' : `${value} %`;
}

function millis(value: number | null): string {
  return value === null ? '(none)' : `${value} ms`;
}
