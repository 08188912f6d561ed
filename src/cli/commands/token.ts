import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { ROLES, type Role } from '../../control/access/roles.js';
import { makeToken, readTokenFile, type TokenEntry, tokenFileText } from '../../control/access/token-file.js';
import { systemClock } from '../../core/clock.js';
import { TrunklineError } from '../../core/errors.js';
import { numberFrom } from '../arguments.js';
import { writeFileAtomically } from '../process/atomic-file.js';
import { complain, print } from '../process/output.js';

const DEFAULT_FILE = 'tokens.json';
const DAY_MS = 86_400_000;
/** Readable by their owner only. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

interface FileFlag {
  readonly file?: string;
}

interface CreateFlags extends FileFlag {
  readonly role: string;
  readonly days?: number;
}

/** Makes, lists and revokes the tokens of the control server. */
export function registerToken(program: Command): Command {
  const command = program.command('token').description('make, list and revoke tokens for the control server');
  const withFile = (one: Command): Command =>
    one.option('--file <file>', `the token file (default: TRUNKLINE_CONTROL_TOKENS, or ${DEFAULT_FILE})`);
  withFile(command.command('create <name>'))
    .description('make a token and print it; it cannot be shown again')
    .requiredOption('--role <role>', `what it may do: ${ROLES.join(', ')}`)
    .option('--days <n>', 'it expires after so many days (default: never)', numberFrom(1, 36_500))
    .action((name: string, flags: CreateFlags) => create(name, flags));
  withFile(command.command('list'))
    .description('print the names, roles and expiries of all tokens')
    .action((flags: FileFlag) => list(flags));
  withFile(command.command('revoke <name>'))
    .description('remove a token')
    .action((name: string, flags: FileFlag) => revoke(name, flags));
  return command.addHelpText(
    'after',
    `
A viewer sees calls and figures, a listener hears calls and recordings as well, an operator also pauses and ends calls.
The file holds only hashes. A node that runs reads it again at SIGHUP.

Examples:
  $ trunkline token create prometheus --role viewer --file /etc/trunkline/tokens.json
  $ trunkline token create jane --role listener --days 90
  $ trunkline capture --control-tokens tokens.json …`,
  );
}

function create(name: string, { role, days, ...flags }: CreateFlags): void {
  if (!isRole(role)) throw usage(`--role must be one of ${ROLES.join(', ')}, not "${role}".`);
  const file = fileOf(flags);
  const tokens = tokensOf(file);
  if (tokens.some((one) => one.name === name))
    throw usage(`There is a token called "${name}" already; revoke it first.`);
  const nowMs = systemClock.wallMs();
  const { token, entry } = makeToken(name, role, nowMs, days === undefined ? undefined : nowMs + days * DAY_MS);
  store(file, [...tokens, entry]);
  print(`${token}\n`);
  complain(`${file} has the token's hash; the token above cannot be shown again`);
}

function list(flags: FileFlag): void {
  const nowMs = systemClock.wallMs();
  for (const { name, role, createdAt, expiresAt } of readTokenFile(fileOf(flags))) {
    const isOver = expiresAt !== undefined && Date.parse(expiresAt) <= nowMs;
    const end = expiresAt === undefined ? 'never expires' : `${isOver ? 'expired' : 'expires'} ${expiresAt}`;
    print(`${name.padEnd(24)} ${role.padEnd(9)} created ${createdAt}  ${end}\n`);
  }
}

function revoke(name: string, flags: FileFlag): void {
  const file = fileOf(flags);
  const tokens = readTokenFile(file);
  const left = tokens.filter((one) => one.name !== name);
  if (left.length === tokens.length) throw usage(`There is no token called "${name}" in ${file}.`);
  store(file, left);
  complain(`"${name}" is revoked; send SIGHUP to nodes that run`);
}

function fileOf({ file }: FileFlag): string {
  return file ?? process.env['TRUNKLINE_CONTROL_TOKENS'] ?? DEFAULT_FILE;
}

function tokensOf(file: string): TokenEntry[] {
  try {
    return readTokenFile(file);
  } catch (error) {
    const isMissing = error instanceof TrunklineError && (error.cause as NodeJS.ErrnoException)?.code === 'ENOENT';
    if (isMissing) return [];
    throw error;
  }
}

function store(file: string, tokens: readonly TokenEntry[]): void {
  mkdirSync(dirname(file), { recursive: true, mode: FOLDER_MODE });
  writeFileAtomically(file, tokenFileText(tokens), FILE_MODE);
}

function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

function usage(message: string): TrunklineError {
  return new TrunklineError('CONFIG_INVALID', message);
}
