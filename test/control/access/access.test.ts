import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Access, isLoopback } from '../../../src/control/access/access.js';
import { makeToken, tokenFileText } from '../../../src/control/access/token-file.js';
import { ManualClock } from '../../../src/core/clock.js';
import { makeTokenFile } from '../../support/control/control-node.js';

function accessTo(tokensFile: string, clock: ManualClock): Access {
  return new Access({ clock, tokensFile, allowedHosts: new Set(), allowedOrigins: new Set(), audit: () => {} });
}

test('what a token has open is closed when it is revoked, and nothing else', () => {
  const clock = new ManualClock(0, Date.now());
  const { file } = makeTokenFile();
  const access = accessTo(file, clock);
  const closed: string[] = [];
  for (const [name, role] of [
    ['viewer-1', 'viewer'],
    ['listener-1', 'listener'],
  ] as const) {
    access.hold({ principal: { name, role }, address: '127.0.0.1' }, () => closed.push(name));
  }
  const release = access.hold({ principal: { name: 'operator-1', role: 'operator' }, address: '127.0.0.1' }, () =>
    closed.push('operator-1'),
  );
  release();
  access.closeInvalid();
  expect(closed).toEqual([]);
  // The listener is a viewer now: what it was allowed before must end.
  const [viewer, listener] = [makeToken('viewer-1', 'viewer', 0), makeToken('listener-1', 'viewer', 0)];
  writeFileSync(file, tokenFileText([viewer.entry, listener.entry]));
  access.reload();
  expect(closed).toEqual(['listener-1']);
});

test('what a token has open is closed when it expires', () => {
  const clock = new ManualClock(0, Date.now());
  const { file } = makeTokenFile();
  writeFileSync(file, tokenFileText([makeToken('brief', 'viewer', 0, clock.wallMs() + 1_000).entry]));
  const access = accessTo(file, clock);
  let isClosed = false;
  access.hold({ principal: { name: 'brief', role: 'viewer' }, address: '::1' }, () => {
    isClosed = true;
  });
  clock.advanceUs(999_000);
  access.closeInvalid();
  expect(isClosed).toBe(false);
  clock.advanceUs(1_000);
  access.closeInvalid();
  expect(isClosed).toBe(true);
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['128.0.0.1', false],
  ['10.0.0.1', false],
  ['::', false],
  ['0.0.0.0', false],
  ['127.0.0.1.evil.net', false],
  ['', false],
])('%s is of this machine: %s', (address, isLocal) => {
  expect(isLoopback(address)).toBe(isLocal);
});
