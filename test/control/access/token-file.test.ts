import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Tickets } from '../../../src/control/access/tickets.js';
import { makeToken, readTokenFile, Tokens, tokenFileText } from '../../../src/control/access/token-file.js';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-tokens-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'tokens.json');
  writeFileSync(file, text);
  return file;
}

test('a token is known by its hash alone', () => {
  const { token, entry } = makeToken('jane', 'listener', NOW_MS);
  expect(token).toMatch(/^trunkline_[\w-]{43}$/);
  const text = tokenFileText([entry]);
  expect(text).not.toContain(token);
  expect(text).not.toContain(token.slice('trunkline_'.length));
  const tokens = new Tokens(readTokenFile(fileWith(text)));
  expect(tokens.verify(token, NOW_MS)).toEqual({ name: 'jane', role: 'listener', sha256: entry.sha256 });
});

test('no two tokens are the same', () => {
  const made = Array.from({ length: 100 }, (_, n) => makeToken(`t${n}`, 'viewer', NOW_MS).token);
  expect(new Set(made).size).toBe(100);
});

test.each(['', 'trunkline_', 'x'.repeat(300), 'trunkline_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'])(
  'another text is unknown: %s',
  (text) => {
    const { entry } = makeToken('jane', 'operator', NOW_MS);
    expect(new Tokens([entry]).verify(text, NOW_MS)).toBe('unknown');
  },
);

test('a token is good until it expires, to the millisecond', () => {
  const { token, entry } = makeToken('jane', 'viewer', NOW_MS, NOW_MS + 1_000);
  const tokens = new Tokens([entry]);
  expect(tokens.verify(token, NOW_MS + 999)).toMatchObject({ name: 'jane' });
  expect(tokens.verify(token, NOW_MS + 1_000)).toBe('expired');
});

test.each(['', '1jane', 'jane doe', '../jane', '<script>', 'a'.repeat(65)])(
  'a name such as "%s" is refused',
  (name) => {
    expect(() => makeToken(name, 'viewer', NOW_MS)).toThrow(/name of a token/);
  },
);

test.each([
  ['not JSON', 'tokens', /is not JSON/],
  ['no list', '{}', /wrong at: tokens/],
  [
    'an unknown role',
    JSON.stringify({ tokens: [{ ...makeToken('a', 'viewer', 0).entry, role: 'root' }] }),
    /tokens\.0\.role/,
  ],
  ['a token in clear', JSON.stringify({ tokens: [{ name: 'a', role: 'viewer', token: 'secret-value' }] }), /wrong at/],
])('a file with %s is refused, and nothing of it is quoted', (_, text, message) => {
  const file = fileWith(text);
  expect(() => readTokenFile(file)).toThrow(message);
  expect(() => readTokenFile(file)).not.toThrow(/secret-value/);
});

test('two tokens of a name are refused', () => {
  const entries = [makeToken('a', 'viewer', 0).entry, makeToken('a', 'operator', 0).entry];
  expect(() => readTokenFile(fileWith(tokenFileText(entries)))).toThrow(/two tokens called "a"/);
});

test('a ticket is good once, for what it was made for, for half a minute', () => {
  const tickets = new Tickets();
  const jane = { name: 'jane', role: 'listener' } as const;
  const issue = (): string => tickets.issue(jane, '/audio/1', 0);
  const ticket = issue();
  expect(tickets.redeem(ticket, '/audio/1', 1)).toEqual(jane);
  expect(tickets.redeem(ticket, '/audio/1', 2)).toBeUndefined();
  expect(tickets.redeem(issue(), '/audio/2', 1)).toBeUndefined();
  expect(tickets.redeem(issue(), '/audio/1', 30e6)).toEqual(jane);
  expect(tickets.redeem(issue(), '/audio/1', 30e6 + 1)).toBeUndefined();
  expect(tickets.redeem('nonsense', '/audio/1', 1)).toBeUndefined();
});

test('tickets that nobody uses do not add up', () => {
  const tickets = new Tickets();
  const first = tickets.issue({ name: 'jane', role: 'listener' }, '/a', 0);
  for (let n = 0; n < 1_000; n++) tickets.issue({ name: 'jane', role: 'listener' }, '/a', 0);
  expect(tickets.redeem(first, '/a', 0)).toBeUndefined();
});
