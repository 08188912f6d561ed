import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { messageOf, TrunklineError } from '../../../core/errors.js';
import { numberFrom } from '../../arguments.js';
import { complain } from '../../process/output.js';
import { STOP_SECONDS, watchSignals } from '../../process/signals.js';
import { addControlOptions, ControlClient, type ControlFlags } from './client.js';

interface ListenFlags extends ControlFlags {
  readonly raw?: true;
  readonly mono?: true;
  readonly rate?: number;
  readonly player?: string;
}

const FFPLAY = 'ffplay -nodisp -autoexit -loglevel error -fflags nobuffer -probesize 32 -analyzeduration 0 -i -';

export function registerListen(program: Command): Command {
  const command = program
    .command('listen')
    .description('listen to an interaction while it goes on')
    .argument('<id>', 'id of the interaction')
    .option('--raw', 'PCM without a WAV header: 16 bit, little-endian')
    .option('--mono', 'both sides in one channel')
    .option('--rate <hz>', 'samples a second, such as 16000; default: as the call has them', numberFrom(8_000, 48_000))
    .option('--player <command>', 'play it with this program; default on a terminal: ffplay');
  return addControlOptions(command)
    .addHelpText(
      'after',
      `
Writes a WAV file without end to stdout, or plays it when stdout is a terminal. It has silence while nothing comes, and
ends with the interaction. After a lost connection it connects again. The token needs the role listener, and every
listening is in the node's audit.

Examples:
  $ trunkline listen ID
  $ trunkline listen ID > call.wav
  $ trunkline listen ID --raw --mono --rate 16000 | my-transcriber`,
    )
    .action(async (id: string, flags: ListenFlags) => {
      const client = new ControlClient(flags);
      const { feedLiveAudio } = await import('./live-feed.js');
      const left = new AbortController();
      void watchSignals(STOP_SECONDS).requested.then(() => left.abort());
      const player = playerOf(flags);
      const output = player === undefined ? process.stdout : await inputOf(player);
      // A player that was closed, or the end of `| head`.
      output.once('error', () => left.abort());
      output.once('close', () => left.abort());
      await feedLiveAudio(client, id, output, {
        ...(flags.raw ? { raw: true } : {}),
        ...(flags.mono ? { channels: 'mono' } : {}),
        ...(flags.rate === undefined ? {} : { rate: flags.rate }),
        signal: left.signal,
        notice: complain,
      });
      if (player !== undefined) await ended(player, output);
    });
}

/** The program that plays it; undefined when the audio goes to stdout. */
function playerOf({ player, raw }: ListenFlags): ChildProcess | undefined {
  const isTerminal = process.stdout.isTTY === true;
  if (player === undefined && !isTerminal) return undefined;
  if (player === undefined && raw) {
    throw new TrunklineError(
      'CONFIG_INVALID',
      'Raw audio is nothing for a terminal: pipe it into a program or a file.',
    );
  }
  return spawn(player ?? FFPLAY, { shell: true, stdio: ['pipe', 'inherit', 'inherit'] });
}

function inputOf(player: ChildProcess): Promise<Writable> {
  return new Promise((resolve, reject) => {
    player.once('error', (error) => {
      reject(new TrunklineError('FILE_FAILED', `The player cannot be started: ${messageOf(error)}.`));
    });
    player.once('exit', (code) => {
      // The shell's codes for a program that is not there or cannot be run.
      if (code !== 126 && code !== 127) return;
      complain('The player cannot be started. Install ffplay (of ffmpeg), or name another with --player.');
      process.exitCode = 1;
    });
    player.once('spawn', () => {
      if (player.stdin !== null) resolve(player.stdin);
    });
  });
}

/** Lets the player play what it still has. */
async function ended(player: ChildProcess, input: Writable): Promise<void> {
  const isRunning = player.exitCode === null && player.signalCode === null;
  input.end();
  if (isRunning) await new Promise((resolve) => player.once('exit', resolve));
}
