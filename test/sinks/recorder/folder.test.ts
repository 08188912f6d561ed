import { describe, expect, it } from 'vitest';
import { folderName } from '../../../src/sinks/recorder/files/folder.js';

describe('the folder of an interaction', () => {
  it.each(['7f9c2ba4-e88f-4a21-9c5e-1b0f4a3c2d1e', '7F9C2BA4-E88F-4A21-9C5E-1B0F4A3C2D1E', 'call_7', 'a'.repeat(80)])(
    '%s stays as it is',
    (id) => expect(folderName(id)).toBe(id),
  );

  it.each([
    '..',
    '.',
    '',
    '../../etc/passwd',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'C:\\x',
    'nul\0byte',
    'audit.jsonl',
    '.hidden',
    '-rf',
    'CON',
    'lpt1',
    'new\nline',
    'ünïcödé 電話',
    'x'.repeat(128),
    '%2e%2e%2f',
  ])('%j becomes one plain name', (id) => {
    const name = folderName(id);
    expect(name).toMatch(/^id_[A-Za-z0-9_-]{0,60}-[0-9a-f]{16}$/);
    expect(folderName(id)).toBe(name);
  });

  it('keeps ids apart that look alike once made safe', () => {
    expect(folderName('a/b')).not.toBe(folderName('a\\b'));
    expect(folderName(`${'x'.repeat(100)}1`)).not.toBe(folderName(`${'x'.repeat(100)}2`));
  });
});
