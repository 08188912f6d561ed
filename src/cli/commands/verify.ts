import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { type Command, InvalidArgumentError } from 'commander';
import type { RecordingCounts } from '../../archive/verification/verify-recordings.js';
import { messageOf, TrunklineError } from '../../core/errors.js';
import type { NoteVerifier } from '../../evidence/signed-note.js';
import type { LogReport } from '../../evidence/verify-log.js';
import { complain, print, printJson } from '../process/output.js';

interface VerifyOptions {
  readonly publicKey?: string;
  readonly witness?: readonly string[];
  readonly prove?: number;
  readonly proof?: string;
  readonly recordings: boolean;
  readonly json?: true;
}

export function registerVerify(program: Command): Command {
  return program
    .command('verify')
    .description('check that an audit and its recordings are as they were signed')
    .argument('<path>', 'folder of the capture; with --proof, a file with one line of the audit')
    .option('--public-key <file>', 'the key to check with; without it the one beside the audit')
    .option('--witness <file>', 'a checkpoint of the same audit that was kept elsewhere; repeatable', collect)
    .option('--prove <entry>', 'print a proof that the audit has this entry, counted from 0', entryNumber)
    .option('--proof <file>', 'check such a proof against the line')
    .option('--no-recordings', 'check the audit alone')
    .option('--json', 'print the report as one JSON object')
    .addHelpText(
      'after',
      `
Every line is compared with its signed hash: a line that was changed, deleted, inserted or moved is named, and so are
files that are missing. Every file of a finished recording is compared with its digest in the audit: recordings that were
changed, exchanged, added or removed are named, unless an entry says that they were deleted. Recordings that are being
written, and those of which the audit has no signed digest yet, are counted: nothing proves them.
Exit code 0: all is as it was signed; 1: it is not.

A person who can write the folder can cut off the end of the audit and put back an older checkpoint. A copy of
audit.checkpoint that is kept elsewhere shows that: name it with --witness. Take --public-key from elsewhere too: the
key beside the audit shows only that the folder agrees with itself.

Examples:
  $ trunkline verify capture
  $ trunkline verify capture --public-key node.public-key --witness yesterday.checkpoint
  $ trunkline verify capture --prove 41 > entry.tlog-proof
  $ trunkline verify entry.json --proof entry.tlog-proof --public-key node.public-key`,
    )
    .action(async (path: string, options: VerifyOptions) => {
      if (!existsSync(path)) throw new TrunklineError('FILE_FAILED', `There is no ${path}.`);
      const publicKey = options.publicKey === undefined ? undefined : await readKey(options.publicKey);
      if (options.proof !== undefined) await checkProof(path, options.proof, publicKey);
      else if (options.prove !== undefined) await prove(path, options.prove, publicKey);
      else await verify(path, publicKey, options);
    });
}

async function verify(path: string, publicKey: NoteVerifier | undefined, options: VerifyOptions): Promise<void> {
  const { verifyFolder } = await import('../../archive/verification/verify-recordings.js');
  const { verifyLog } = await import('../../evidence/verify-log.js');
  const witnesses = await Promise.all((options.witness ?? []).map((file) => readFile(file, 'utf8')));
  const check = options.recordings ? verifyFolder : verifyLog;
  const report: LogReport & { recordings?: RecordingCounts } = await check(path, { publicKey, witnesses });
  const isFine = report.faults.length === 0;
  if (!isFine) process.exitCode = 1;
  if (options.json) {
    printJson({ isFine, ...report });
    return;
  }
  for (const { where, what } of report.faults) complain(`${where}: ${what}`);
  if (report.recordings !== undefined) for (const line of unproven(report.recordings)) print(`${line}\n`);
  if (report.unsigned > 0) {
    print(`${report.unsigned} lines are not signed yet: a node is running, or was killed. They prove nothing.\n`);
  }
  if (isFine && publicKey === undefined) {
    print('Checked with the key beside the audit, which shows only that the folder agrees with itself.\n');
  }
  if (report.recordings !== undefined) {
    const { verified, bytes, deleted } = report.recordings;
    const size = bytes < 1e7 ? `${Math.round(bytes / 1e3)} kB` : `${Math.round(bytes / 1e6)} MB`;
    const gone = deleted === 0 ? '' : `, and ${deleted} were deleted, as the audit says`;
    print(`${verified} recordings (${size}) are as the audit says${gone}\n`);
  }
  const result = isFine ? 'all as signed' : `${report.faults.length} faults`;
  print(
    `${report.entries} signed entries in ${report.files.length} files of ${report.origin ?? 'no log'}: ${result}\n`,
  );
}

/** What nothing proves, a sentence each. */
function unproven({ unsigned, waiting, unfinished, deleting, deletedUnsigned }: RecordingCounts): string[] {
  return [
    unsigned > 0 ? `${unsigned} recordings are as an entry says that is not signed yet.` : [],
    waiting > 0 ? `${waiting} recordings are finished and have no digest yet: a node makes it when it starts.` : [],
    unfinished > 0 ? `${unfinished} recordings are being written, or wait for a repair after a kill.` : [],
    deleting > 0 ? `${deleting} recordings were being deleted, as an entry says, when the node was killed.` : [],
    deletedUnsigned > 0 ? `${deletedUnsigned} recordings are gone, as an entry says that is not signed yet.` : [],
  ].flat();
}

async function prove(path: string, entry: number, publicKey: NoteVerifier | undefined): Promise<void> {
  const { proveEntry } = await import('../../evidence/entry-proof.js');
  const { proof, line } = await proveEntry(path, entry, publicKey ?? (await keyBeside(path)));
  print(proof);
  if (line !== undefined) complain(`entry ${entry} is the line: ${line}`);
}

async function checkProof(path: string, file: string, publicKey: NoteVerifier | undefined): Promise<void> {
  if (publicKey === undefined) throw new TrunklineError('CONFIG_INVALID', '--proof needs --public-key.');
  const { checkEntryProof } = await import('../../evidence/entry-proof.js');
  const line = await readFile(path);
  const withoutNewline = line.at(-1) === 0x0a ? line.subarray(0, -1) : line;
  const shown = checkEntryProof(await readFile(file, 'utf8'), withoutNewline, publicKey);
  if (shown === undefined) {
    process.exitCode = 1;
    complain('The proof does not show that the audit has this line.');
  } else print(`The line is entry ${shown.index} of ${shown.size} of ${shown.origin}.\n`);
}

async function keyBeside(directory: string): Promise<NoteVerifier> {
  const { join } = await import('node:path');
  const { PUBLIC_KEY_FILE } = await import('../../evidence/log-files.js');
  return readKey(join(directory, PUBLIC_KEY_FILE));
}

async function readKey(file: string): Promise<NoteVerifier> {
  const { parseVerifier } = await import('../../evidence/signed-note.js');
  try {
    return parseVerifier(await readFile(file, 'utf8'));
  } catch (thrown) {
    throw new TrunklineError('FILE_FAILED', `Cannot use the public key ${file}: ${messageOf(thrown)}`);
  }
}

function collect(value: string, all: readonly string[] = []): readonly string[] {
  return [...all, value];
}

function entryNumber(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new InvalidArgumentError('give the number of an entry, counted from 0');
  return Number(value);
}
