import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Config, nodeConfigOf, type SettingName } from '../../config/schema.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import { addSettingOptions, loadSettings, numberFrom } from '../arguments.js';
import {
  calibrationHtml,
  calibrationSvg,
  isAnyWithoutThreshold,
  type MeasuredChannel,
  verdictText,
} from '../console/calibration-report.js';
import { print, printJson } from '../process/output.js';
import { watchSignals } from '../process/signals.js';

/** Of a capture node's settings, those that decide what is received. */
const LISTEN_SETTINGS: readonly SettingName[] = [
  'clientId',
  'clientSecret',
  'region',
  'apiUrl',
  'mediaUrl',
  'interactions',
  'codecs',
  'opusSampleRate',
  'caFile',
  'insecureTls',
];

const LISTEN_SECONDS = 20;
/** What it may take to leave the calls after a signal; there are no files to finish. */
const STOP_SECONDS = 2;

export function registerCalibrate(program: Command): Command {
  const command = program
    .command('calibrate')
    .description('find the silence threshold that fits the sound of a line')
    .argument(
      '[file]',
      'a recording (its folder, or a WAV, FLAC or Ogg Opus file); without it, the live --interactions',
    );
  // Before addSettingOptions: the command's own options win over settings of the same name.
  command
    .option('--seconds <s>', `how long to listen (default: ${LISTEN_SECONDS})`, numberFrom(1, 3600, 'any'))
    .option('--report <file>', 'write a report with a histogram of the levels, as .html or .svg')
    .option('--json', 'print the result as one JSON object, with one entry a channel');
  return addSettingOptions(command, LISTEN_SETTINGS)
    .addHelpText(
      'after',
      `
The adaptive detector, the default, needs no threshold. For the fixed one, the sound should contain speech and pauses of
more than half a second: the threshold is one with which silence has returned in this very sound. Where channels differ,
use the highest threshold for all. Nothing is recorded while it listens.

Examples:
  $ trunkline calibrate capture/<interaction>
  $ trunkline calibrate capture/<interaction>/audio.wav --report calibration.html
  $ trunkline calibrate --interactions ID --seconds 30`,
    )
    .action(async (file: string | undefined, { json, seconds, report: reportFile }: CalibrateOptions) => {
      const writeReport = reportFile === undefined ? undefined : reportWriter(reportFile);
      const channels =
        file === undefined
          ? await calibrateLive(loadSettings(command).config, seconds ?? LISTEN_SECONDS)
          : await calibrateFile(file);
      const threshold = roundedUp(Math.max(...channels.map((channel) => channel.threshold)));
      await writeReport?.({ threshold, channels });
      const isFixedUsable = channels.some(({ verdict }) => verdict === 'works');
      const recommended = { recommendedDetector: 'adaptive', isFixedUsable };
      if (json) printJson({ threshold, releaseLevel: threshold / 2, ...recommended, channels });
      else print(report(threshold, channels));
    });
}

/** The result for each channel of each configured interaction, live. */
async function calibrateLive(config: Config, seconds: number): Promise<MeasuredChannel[]> {
  if (config.interactions.length === 0) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      'There is nothing to measure: give a recording, or an interaction with --interactions or in TARGET_INTERACTIONS.',
    );
  }
  const { CaptureNode } = await import('../../node/capture-node.js');
  const { Calibrator } = await import('../../audio/calibrate.js');
  const node = new CaptureNode({ ...nodeConfigOf(config), record: false, audit: 'off' });
  const calibrators = new Map<string, InstanceType<typeof Calibrator>>();
  const whyEnded: string[] = [];
  void node.addSink({
    pcmSelection: () => 'all',
    frame: (frame) => {
      if (frame.concealed || !frame.hasPcm) return;
      const name = `${frame.info.interactionId}, channel ${frame.channel}`;
      let calibrator = calibrators.get(name);
      if (calibrator === undefined) {
        calibrator = new Calibrator(frame.info.sampleRate);
        calibrators.set(name, calibrator);
      }
      calibrator.feed(frame.copyPcm());
    },
  });
  node.on('interactionEnded', ({ interactionId, detail }) => whyEnded.push(`${interactionId}: ${detail}`));
  const { requested } = watchSignals(STOP_SECONDS);
  const listening = node.start().then(() => Promise.race([node.untilIdle(), sleep(seconds * 1000)]));
  await Promise.race([listening, requested]);
  await node.stop();
  if (calibrators.size === 0) {
    throw new TrunklineError(
      'MEDIA_NOT_AVAILABLE',
      `There was no audio. ${whyEnded.join('; ') || 'No media arrived.'}`,
    );
  }
  return [...calibrators].map(([name, calibrator]) => ({ name, ...calibrator.result() }));
}

/** Of each channel, at a time. */
const BLOCK_SAMPLES = 1 << 15;
const MIN_RATE_HZ = 8000;

/**
 * The result for each channel of an audio file, or of a recording's folder, read block by block.
 * @throws TrunklineError FILE_FAILED, FILE_INVALID
 */
export async function calibrateFile(file: string): Promise<MeasuredChannel[]> {
  const { Calibrator } = await import('../../audio/calibrate.js');
  const { readRecordedAudio } = await import('../../sinks/recorder/files/recorded-audio.js');
  const reader = readRecordedAudio(file);
  try {
    const { sampleRate, channels } = reader;
    if (sampleRate < MIN_RATE_HZ) {
      throw new TrunklineError('FILE_INVALID', `${file} has ${sampleRate} Hz; convert it to 8000 Hz or more.`);
    }
    const calibrators = Array.from({ length: channels }, () => new Calibrator(sampleRate));
    const block = new Int16Array(BLOCK_SAMPLES * channels);
    const samples = new Int16Array(BLOCK_SAMPLES);
    for (let count = reader.read(block); count > 0; count = reader.read(block)) {
      for (const [channel, calibrator] of calibrators.entries()) {
        for (let i = 0; i < count; i++) samples[i] = block[i * channels + channel] as number;
        calibrator.feed(samples, 0, count);
      }
    }
    return calibrators.map((calibrator, channel) => ({ name: `channel ${channel}`, ...calibrator.result() }));
  } finally {
    reader.close();
  }
}

interface CalibrateOptions {
  readonly json?: true;
  readonly seconds?: number;
  readonly report?: string;
}

/** Checked before anything is measured. @throws TrunklineError CONFIG_INVALID for another kind of file. */
function reportWriter(file: string): (report: Parameters<typeof calibrationHtml>[0]) => Promise<void> {
  const isSvg = file.endsWith('.svg');
  if (!isSvg && !file.endsWith('.html')) {
    throw new TrunklineError('CONFIG_INVALID', `A report is an .html or .svg file; ${file} is neither.`);
  }
  return async (report) => {
    await writeFile(file, isSvg ? calibrationSvg(report) : calibrationHtml(report)).catch((error: unknown) => {
      throw new TrunklineError('FILE_FAILED', `Cannot write ${file}: ${messageOf(error)}`, { cause: error });
    });
  };
}

/** To four places, upwards: a threshold that is a little too high still lies below speech. */
function roundedUp(threshold: number): number {
  return Math.ceil(threshold * 10_000) / 10_000;
}

function report(threshold: number, channels: readonly MeasuredChannel[]): string {
  const lines = channels.flatMap((channel) => {
    const name = channels.length > 1 ? `${channel.name}: ` : '';
    const seconds = `${channel.seconds.toFixed(1)} s of sound`;
    const sound = `${name}ambient sound ${level(channel.ambientRms)}, speech ${level(channel.speechRms)}, ${seconds}`;
    return [sound, `${name}${verdictText(channel.verdict)}`];
  });
  const release = `silence returns below ${(threshold / 2).toFixed(4)}`;
  const weak = channels.some(({ speechRms }) => speechRms > 0 && speechRms < 1.5 * threshold);
  if (weak) lines.push('Speech is hardly louder than the ambient sound: parts of it will count as silence.');
  if (isAnyWithoutThreshold(channels)) {
    return `${lines.join('\n')}\nno threshold works for all of it; the adaptive detector needs none\n`;
  }
  const use = `use it as --silence-detector fixed --silence-threshold ${threshold}`;
  return `${lines.join('\n')}\n${release}\nthreshold ${threshold}; ${use}, or the adaptive detector, which needs none\n`;
}

function level(rms: number): string {
  return rms === 0 ? 'none' : `${rms.toFixed(4)} RMS (${(20 * Math.log10(rms)).toFixed(1)} dBFS)`;
}
