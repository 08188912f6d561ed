import { createWriteStream, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import type { Writable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { Identity } from '../../sinks/recorder/encryption/age-keys.js';
import type {
  EncryptedPath,
  Opened,
  OpenedRecording,
  Stretch,
} from '../../sinks/recorder/encryption/open-recording.js';
import { complain } from '../process/output.js';

interface OpenOptions {
  readonly identity: readonly string[];
  readonly segment?: number;
  readonly from?: number;
  readonly to?: number;
  readonly out?: string;
}

/** All that is there is authentic, and it is not shown that this is all of the recording. */
export const END_NOT_PROVEN = 3;

export function registerOpen(program: Command): Command {
  return program
    .command('open')
    .description('decrypt a recording that was made with --encrypt-to')
    .argument('<recording>', 'folder of the recording, or one of its .enc files')
    .requiredOption('--identity <file>', 'file with the secret key, as age-keygen makes it; repeatable', collect, [])
    .option('--segment <n>', 'which of several audio files, counted from 1', whole)
    .option('--from <seconds>', 'begin there; a part of FLAC or Opus is written as WAV', seconds)
    .option('--to <seconds>', 'end there', seconds)
    .option('--out <folder>', 'write every audio file of the recording there, instead of one to stdout')
    .addHelpText(
      'after',
      `
Writes the audio to stdout, and never a byte that is not as it was recorded: at a chunk that was changed it ends, and says
which one and where. Exit code 0: this is the whole recording; 1: it is damaged, or the key is another; 3: everything that is
there is authentic, but its end is not proven. That is so after a kill, while a call goes on, and when the end was cut off;
the digest in the audit (trunkline verify) tells these apart.

Examples:
  $ trunkline open --identity key.txt capture/ID > call.wav
  $ trunkline open --identity key.txt --from 60 --to 90 capture/ID | ffplay -
  $ trunkline open --identity key.txt --out opened capture/ID`,
    )
    .action(async (recording: string, options: OpenOptions) => {
      const { encryptedFiles, OpenedRecording } = await import('../../sinks/recorder/encryption/open-recording.js');
      const identities = await readIdentities(options.identity);
      const files = chosen(encryptedFiles(recording), options);
      if (options.out === undefined && process.stdout.isTTY) {
        throw new TrunklineError(
          'CONFIG_INVALID',
          'Audio is nothing for a terminal: give a file or a program, > call.wav.',
        );
      }
      for (const file of files) {
        const opened = new OpenedRecording(file, identities);
        try {
          await write(opened, file, options);
        } finally {
          opened.close();
        }
      }
    });
}

/** The files that were asked for. */
function chosen(files: readonly EncryptedPath[], { segment, out }: OpenOptions): readonly EncryptedPath[] {
  if (segment === undefined && (out !== undefined || files.length === 1)) return files;
  const found = files.filter((file) => file.segment === segment);
  if (found.length > 0 && (found.length === 1 || out !== undefined)) return found;
  const names = files.map(({ path }) => basename(path)).join(', ');
  throw new TrunklineError(
    'CONFIG_INVALID',
    `The recording has ${files.length} audio files: name one of ${names}, its number with --segment, or a folder with --out.`,
  );
}

async function write(recording: OpenedRecording, { path }: EncryptedPath, options: OpenOptions): Promise<void> {
  const { from: fromSeconds, to: toSeconds, out } = options;
  const stretch = { fromSeconds, toSeconds };
  if (out === undefined) {
    tell(path, await copy(recording, stretch, process.stdout));
    return;
  }
  mkdirSync(out, { recursive: true, mode: 0o700 });
  const target = join(out, safeName(recording.nameOf(stretch)));
  const stream = createWriteStream(target, { flags: 'wx', mode: 0o600 });
  const failed = new Promise<never>((_, reject) => {
    stream.once('error', (error) =>
      reject(new TrunklineError('FILE_FAILED', `Cannot write ${target}: ${messageOf(error)}`)),
    );
  });
  const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
  const opened = await Promise.race([copy(recording, stretch, stream), failed]);
  stream.end();
  await Promise.race([closed, failed]);
  tell(path, opened);
}

/** Undefined when the reader of the output has left. */
async function copy(recording: OpenedRecording, stretch: Stretch, output: Writable): Promise<Opened | undefined> {
  let isLeft = false;
  output.once('error', () => {
    isLeft = true;
  });
  const content = recording.content(stretch);
  for (let next = content.next(); ; next = content.next()) {
    if (next.done) return next.value;
    if (isLeft || output.destroyed) return undefined;
    if (!output.write(next.value)) await drained(output);
  }
}

function drained(output: Writable): Promise<void> {
  return new Promise<void>((resolve) => {
    const done = () => {
      for (const event of ['drain', 'error', 'close']) output.removeListener(event, done);
      resolve();
    };
    for (const event of ['drain', 'error', 'close']) output.once(event, done);
  });
}

function tell(path: string, opened: Opened | undefined): void {
  if (opened === undefined) return;
  const { damage, isSealed } = opened;
  if (damage !== undefined) {
    process.exitCode = 1;
    complain(`${path}: ${damage.message}, at ${damage.second.toFixed(3)} s; nothing from there on was written`);
  } else if (!isSealed) {
    process.exitCode ??= END_NOT_PROVEN;
    complain(`${path}: authentic as far as it goes, but its end was never written: there may have been more`);
  }
}

async function readIdentities(files: readonly string[]): Promise<Identity[]> {
  const { parseIdentities } = await import('../../sinks/recorder/encryption/age-keys.js');
  const all: Identity[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((thrown: unknown) => {
      throw new TrunklineError('FILE_FAILED', `Cannot read the identity ${file}: ${messageOf(thrown)}`);
    });
    all.push(...parseIdentities(text, file));
  }
  return all;
}

/** The name comes from the file: it must not lead out of the folder. */
function safeName(file: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(file)) return file;
  throw new TrunklineError(
    'FILE_INVALID',
    `The recording names itself ${JSON.stringify(file)}, which is no name of audio.`,
  );
}

function collect(value: string, all: readonly string[] = []): readonly string[] {
  return [...all, value];
}

function seconds(value: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(value)) throw new InvalidArgumentError('give seconds, such as 12.5');
  return Number(value);
}

function whole(value: string): number {
  if (!/^[1-9]\d{0,4}$/.test(value)) throw new InvalidArgumentError('give the number of an audio file, counted from 1');
  return Number(value);
}
