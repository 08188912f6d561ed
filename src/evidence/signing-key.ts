import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { messageOf, TrunklineError } from '../core/errors.js';
import { makeFolder } from '../core/make-folder.js';
import { type NoteSigner, parseSigner, signerOf, signerText } from './signed-note.js';

const OWNER_ONLY = 0o600;
const SEED_BYTES = 32;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Where the signing key lies when no other place is named: outside the output folder, so that who may change the audit
 * cannot sign it.
 * @throws TrunklineError CONFIG_INVALID when that place is in `directory`, as for a user whose home it is.
 */
export function defaultKeyFile(env: Readonly<Record<string, string | undefined>>, directory: string): string {
  const file = resolve(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'trunkline', 'audit-signing-key');
  if (!relative(resolve(directory), file).startsWith('..')) {
    const message = `Its key would lie in the output folder, as ${file}. Name a file elsewhere with --audit-signing-key.`;
    throw new TrunklineError('CONFIG_INVALID', message);
  }
  return file;
}

/**
 * The key in `file`, which is made when there is none: readable for its owner alone.
 * @throws TrunklineError FILE_FAILED when it can be neither read nor made, or holds something else.
 */
export async function loadSigner(file: string): Promise<NoteSigner> {
  try {
    return (await read(file)) ?? (await create(file));
  } catch (thrown) {
    const message = `Cannot use the signing key ${file}: ${messageOf(thrown)}. Name another file with --audit-signing-key.`;
    throw new TrunklineError('FILE_FAILED', message, { cause: thrown });
  }
}

async function read(file: string): Promise<NoteSigner | undefined> {
  try {
    return parseSigner(await readFile(file, 'utf8'));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw thrown;
  }
}

async function create(file: string): Promise<NoteSigner> {
  await makeFolder(dirname(file));
  // The name tells the keys of several nodes apart; it says nothing of them.
  const signer = signerOf(`trunkline-${randomBytes(4).toString('hex')}`, randomBytes(SEED_BYTES));
  // Under another name until it is whole: a full disk or a kill must not leave half a key, which every later start refuses.
  const made = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    const handle = await open(made, CREATE, OWNER_ONLY);
    try {
      await handle.writeFile(`${signerText(signer)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(made, file).catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'EEXIST') throw thrown;
      // A file system without hard links.
      return rename(made, file);
    });
    return signer;
  } catch (thrown) {
    // Another node has made it in the meantime.
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
    return parseSigner(await readFile(file, 'utf8'));
  } finally {
    await rm(made, { force: true });
  }
}
