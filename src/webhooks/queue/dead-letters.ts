import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Message } from '../message.js';
import { messageSchema, parsed } from './message-file.js';

/** One JSON object a line; appended to by every process that uses the directory. */
export const DEAD_LETTER_FILE = 'dead-letters.jsonl';
/** While they are put back, so that a process that is killed then loses none. */
const REPLAYING = /^dead-letters\.replaying-.*\.jsonl$/;
const MAX_BYTES = 64 << 20;
/** A symbolic link in place of a file is refused. */
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW;

const deadLetterSchema = messageSchema.extend({
  attempts: z.number(),
  failedAtMs: z.number(),
  /** What the last attempt failed with. */
  reason: z.string(),
});

/** A message that was not delivered in its time. */
export type DeadLetter = z.infer<typeof deadLetterSchema>;

/** Keeps a message for later. False when the file is full. Throws what node:fs throws. */
export async function addDeadLetter(directory: string, letter: DeadLetter): Promise<boolean> {
  const file = await open(join(directory, DEAD_LETTER_FILE), APPEND, 0o600);
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) return false;
    // A newline in front as well: the line before may have been cut off by a kill.
    await file.appendFile(`${await startsLine(directory, size)}${JSON.stringify(letter)}\n`);
    await file.datasync();
    return true;
  } finally {
    await file.close();
  }
}

async function startsLine(directory: string, size: number): Promise<'' | '\n'> {
  if (size === 0) return '';
  const file = await open(join(directory, DEAD_LETTER_FILE), READ);
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] === 0x0a ? '' : '\n';
  } finally {
    await file.close();
  }
}

/** All dead letters, the oldest first; lines that are none are skipped. */
export async function readDeadLetters(directory: string): Promise<DeadLetter[]> {
  return lettersIn(directory, await deadLetterFiles(directory));
}

/**
 * Gives every dead letter to `take` and forgets them. They are forgotten last: a process that is killed meanwhile may
 * put some back twice, with the same id.
 */
export async function takeDeadLetters(
  directory: string,
  take: (messages: readonly Message[]) => Promise<void>,
): Promise<number> {
  const claimed: string[] = [];
  for (const name of await deadLetterFiles(directory)) {
    const own = `dead-letters.replaying-${randomUUID()}.jsonl`;
    await rename(join(directory, name), join(directory, own));
    claimed.push(own);
  }
  const letters = await lettersIn(directory, claimed);
  await take(letters.map(({ id, type, key, body, createdAtMs }) => ({ id, type, key, body, createdAtMs })));
  for (const name of claimed) await rm(join(directory, name), { force: true });
  return letters.length;
}

async function lettersIn(directory: string, names: readonly string[]): Promise<DeadLetter[]> {
  const letters = new Map<string, DeadLetter>();
  for (const name of names) {
    for (const line of (await readFile(join(directory, name), { encoding: 'utf8', flag: READ })).split('\n')) {
      const letter = line === '' ? undefined : parsed(deadLetterSchema, line);
      if (letter !== undefined) letters.set(letter.id, letter);
    }
  }
  return [...letters.values()].sort((a, b) => a.createdAtMs - b.createdAtMs);
}

async function deadLetterFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((): string[] => []);
  return names.filter((name) => name === DEAD_LETTER_FILE || REPLAYING.test(name));
}
