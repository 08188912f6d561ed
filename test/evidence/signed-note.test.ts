import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { checkpointText, parseCheckpoint } from '../../src/evidence/checkpoint.js';
import {
  openNote,
  parseSigner,
  parseVerifier,
  signerOf,
  signerText,
  signNote,
  verifierText,
} from '../../src/evidence/signed-note.js';

const SEED = createHash('sha256').update('a seed for tests').digest();
const signer = signerOf('node.example/audit', SEED);
const TEXT = 'first line\n\nthird line\n';

/** The example in the documentation of Go's golang.org/x/mod/sumdb/note. */
const PETER = {
  key: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  note:
    'If you think cryptography is the answer to your problem,\n' +
    "then you don't know what your problem is.\n" +
    '\n' +
    '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
};

it('reads keys and notes that Go has made', () => {
  expect(openNote(PETER.note, parseVerifier(PETER.key))).toMatch(/^If you think .*\n.*problem is\.\n$/);
  expect(verifierText(parseVerifier(PETER.key))).toBe(PETER.key);
  expect(openNote(PETER.note.replace('answer', 'Answer'), parseVerifier(PETER.key))).toBeUndefined();
});

it('signs what it opens again, with keys that pass through their text', () => {
  const note = signNote(TEXT, parseSigner(signerText(signer)));
  expect(openNote(note, parseVerifier(verifierText(signer)))).toBe(TEXT);
});

it('opens nothing that was changed at any place', () => {
  const note = signNote(TEXT, signer);
  let refused = 0;
  const bytes = Buffer.from(note);
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ (1 << bit);
      if (openNote(changed.toString(), signer) === undefined) refused++;
    }
  }
  expect(refused).toBe(bytes.length * 8);
  for (let end = 0; end < note.length; end++) expect(openNote(note.slice(0, end), signer)).toBeUndefined();
});

it('passes over signatures of others, and is opened by none but the key that signed', () => {
  const other = signerOf('witness.example', createHash('sha256').update('another').digest());
  const [, line] = signNote(TEXT, other).split('\n\n').slice(-2);
  const both = signNote(TEXT, signer) + line;
  expect(openNote(both, signer)).toBe(TEXT);
  expect(openNote(both, other)).toBe(TEXT);
  expect(openNote(signNote(TEXT, signer), other)).toBeUndefined();
  expect(openNote(signNote(TEXT, signer), signerOf('another.name', SEED))).toBeUndefined();
});

it('refuses keys that are none, and repeats no secret', () => {
  const secret = signerText(signer);
  for (const wrong of [
    '',
    'x',
    secret.slice(0, -1),
    secret.replace('audit', 'other'),
    verifierText(signer),
    `${secret}A`,
  ]) {
    expect(() => parseSigner(wrong)).toThrow(RangeError);
    expect(() => parseSigner(wrong)).not.toThrow(secret.slice(-20, -1));
  }
  for (const wrong of ['', 'a+b', secret, verifierText(signer).replace('audit', 'other')]) {
    expect(() => parseVerifier(wrong)).toThrow(RangeError);
  }
});

it('reads the checkpoints that it writes, and no other text', () => {
  const root = createHash('sha256').digest();
  const checkpoint = { origin: 'node.example/audit', size: 20_852_163, root, extensions: [] };
  const text = checkpointText(checkpoint);
  expect(parseCheckpoint(text)).toEqual(checkpoint);
  expect(parseCheckpoint(`${text}more\n`)).toEqual({ ...checkpoint, extensions: ['more'] });
  const wrong = [
    '',
    text.slice(0, -1),
    text.replace('20852163', '020852163'),
    text.replace('20852163', '-1'),
    text.replace('20852163', '1e3'),
    text.replace('20852163', '99999999999999999999'),
    text.replace('=', ''),
    text.replace('node.example/audit', ''),
    `${text}\nmore\n`,
  ];
  for (const one of wrong) expect(parseCheckpoint(one)).toBeUndefined();
});
