import { writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { Access, isLoopback } from '../../../src/control/access/access.js';
import type { Principal } from '../../../src/control/access/roles.js';
import { makeToken, type TokenEntry, tokenFileText } from '../../../src/control/access/token-file.js';
import { ManualClock } from '../../../src/core/clock.js';
import { makeTokenFile } from '../../support/control/control-node.js';

function accessTo(tokensFile: string, clock: ManualClock): Access {
  return new Access({ clock, tokensFile, allowedHosts: new Set(), allowedOrigins: new Set(), audit: () => {} });
}

/** The holder of a token, as access control finds it. */
function holderOf({ entry }: { entry: TokenEntry }): Principal {
  const { name, role, sha256 } = entry;
  return { name, role, sha256 };
}

test('what a token has open is closed when it is revoked, and nothing else', () => {
  const clock = new ManualClock(0, Date.now());
  const { file } = makeTokenFile();
  const viewer = makeToken('viewer-1', 'viewer', 0);
  const listener = makeToken('listener-1', 'listener', 0);
  const operator = makeToken('operator-1', 'operator', 0);
  const replaced = makeToken('replaced', 'viewer', 0);
  writeFileSync(file, tokenFileText([viewer, listener, operator, replaced].map(({ entry }) => entry)));
  const access = accessTo(file, clock);
  const closed: string[] = [];
  for (const one of [viewer, listener, replaced]) {
    access.hold({ principal: holderOf(one), address: '127.0.0.1' }, () => closed.push(one.entry.name));
  }
  const release = access.hold({ principal: holderOf(operator), address: '127.0.0.1' }, () => closed.push('operator-1'));
  release();
  access.closeInvalid();
  expect(closed).toEqual([]);
  // The listener is a viewer now: what it was allowed before must end. A leaked token was replaced under its name.
  const lowered = { ...listener.entry, role: 'viewer' as const };
  writeFileSync(file, tokenFileText([viewer.entry, lowered, makeToken('replaced', 'viewer', 0).entry]));
  access.reload();
  expect(closed).toEqual(['listener-1', 'replaced']);
});

test('a ticket is no longer good when the token that asked for it is revoked', () => {
  const clock = new ManualClock(0, Date.now());
  const { file } = makeTokenFile();
  const [first, second] = [makeToken('jane', 'listener', 0), makeToken('jane', 'listener', 0)];
  writeFileSync(file, tokenFileText([first.entry]));
  const access = accessTo(file, clock);
  const open = (): unknown => {
    const ticket = access.tickets.issue(holderOf(first), '/audio.wav', clock.nowUs());
    const request = { url: `/audio.wav?ticket=${ticket}`, headers: { host: 'localhost' }, socket: {} };
    return access.admit(request as IncomingMessage, { role: 'listener', pattern: '/audio.wav', ticket: true });
  };
  expect(open()).toMatchObject({ principal: { name: 'jane' } });
  writeFileSync(file, tokenFileText([second.entry]));
  access.reload();
  expect(open).toThrow('no such token');
});

test('what a token has open is closed when it expires', () => {
  const clock = new ManualClock(0, Date.now());
  const { file } = makeTokenFile();
  const brief = makeToken('brief', 'viewer', 0, clock.wallMs() + 1_000);
  writeFileSync(file, tokenFileText([brief.entry]));
  const access = accessTo(file, clock);
  let isClosed = false;
  access.hold({ principal: holderOf(brief), address: '::1' }, () => {
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
