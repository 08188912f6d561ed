import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { ROOT } from '../support/source-tree.js';

const DOCUMENTS = [
  ...['README.md', 'src/cli/README.md', 'src/config/README.md', 'bench/README.md', 'test/README.md'],
  ...['src/archive/upload/README.md', 'src/deploy/README.md', 'src/deploy/WHEN-SOMETHING-IS-WRONG.md'],
];

interface Line {
  readonly place: string;
  readonly command: string;
}

interface Commands {
  /** Lines of code blocks: complete commands, ready to be typed. */
  readonly complete: readonly Line[];
  /** Commands that the text names, often without what they need. */
  readonly named: readonly Line[];
}

function commandsOf(file: string): Commands {
  const complete: Line[] = [];
  const named: Line[] = [];
  /** The language of the code block that a line is in; undefined outside of one. */
  let block: string | undefined;
  for (const [index, written] of readFileSync(join(ROOT, file), 'utf8').split('\n').entries()) {
    const line = written.trim();
    const place = `${file}:${index + 1}`;
    if (line.startsWith('```')) block = block === undefined ? line.slice(3) : undefined;
    else if (block === '' || block === 'sh')
      complete.push(...line.split(' && ').map((command) => ({ place, command })));
    else if (block === undefined)
      for (const [, command = ''] of line.matchAll(/`([^`]+)`/g)) named.push({ place, command });
  }
  return { complete, named };
}

/** The words after `trunkline`, up to a comment, a pipe or a file that takes the output; none of other commands. */
function wordsOf({ command }: Line): string[] {
  const text = command.replace(/^(?:npx |runuser -u \w+ -- )/, '').replace(/\s+(?:#|\||>|<).*$/, '');
  const [program, ...words] = text.split(/\s+/).map((word) => word.replace(/^["']|["']$/g, ''));
  return program === 'trunkline' ? words : [];
}

/** The program as it is, without what its commands do. */
function programThatOnlyParses(): Command {
  const program = createProgram();
  const silence = (command: Command): void => {
    if (command.commands.length === 0) command.action(() => {});
    command.configureOutput({ writeOut: () => {}, writeErr: () => {} });
    command.commands.forEach(silence);
  };
  silence(program);
  return program;
}

const program = programThatOnlyParses();
const documents = DOCUMENTS.map(commandsOf);
const complete = documents.flatMap((one) => one.complete);
const named = documents.flatMap((one) => one.named);

async function refusalOf(words: readonly string[]): Promise<string | undefined> {
  try {
    await program.parseAsync(words, { from: 'user' });
    return undefined;
  } catch (error) {
    return error instanceof CommanderError && error.exitCode === 0 ? undefined : String(error);
  }
}

/** What the program does not have of a command that may lack arguments. */
function unknownOf(words: readonly string[]): string[] {
  let command = program;
  let depth = 0;
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) break;
    command = next;
    depth++;
  }
  const flags = words.filter((word) => word.startsWith('--')).map((word) => word.replace(/=.*/, ''));
  // An option with two long names has one of them where the short one would be.
  const names = command.options.flatMap(({ long, short }) => [long, short]);
  const unknown = flags.filter((flag) => flag !== '--help' && !names.includes(flag));
  return depth === 0 && words[0]?.startsWith('-') === false ? [words[0], ...unknown] : unknown;
}

test('every command line of the documents is one that the program takes', async () => {
  const refused: string[] = [];
  const ours = complete.map((line) => ({ ...line, words: wordsOf(line) })).filter(({ words }) => words.length > 0);
  for (const { place, words } of ours) {
    const refusal = await refusalOf(words);
    if (refusal !== undefined) refused.push(`${place}: trunkline ${words.join(' ')}: ${refusal}`);
  }
  expect(refused).toEqual([]);
  expect(ours.length).toBeGreaterThan(20);
});

test('every command that their text names exists, with its options', () => {
  const ours = named.map((line) => ({ ...line, words: wordsOf(line) })).filter(({ words }) => words.length > 0);
  const wrong = ours.flatMap(({ place, words }) => unknownOf(words).map((unknown) => `${place}: ${unknown}`));
  expect(wrong).toEqual([]);
  expect(ours.length).toBeGreaterThan(15);
});

test('every script of npm that they run exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
  const run = [...complete, ...named].flatMap(({ command }) => /^npm run ([a-z:]+)/.exec(command)?.[1] ?? []);
  expect(run.length).toBeGreaterThan(5);
  expect(run.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
});
