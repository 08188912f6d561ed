import { describe, expect, test } from 'vitest';
import {
  bytes,
  duration,
  figure,
  figureName,
  milliseconds,
  percent,
  span,
  words,
} from '../../../src/control/console/parts/format.js';

describe('what the console writes', () => {
  test.each([
    [percent(0), '0 %'],
    [percent(0.000_04), '<0.01 %'],
    [percent(0.0123), '1.23 %'],
    [percent(0.5, 0), '50 %'],
    [percent(null), '–'],
    [milliseconds(0), '0 ms'],
    [milliseconds(2.44), '2.4 ms'],
    [milliseconds(61.8), '62 ms'],
    [milliseconds(Number.NaN), '–'],
    [duration(7), '0:07'],
    [duration(3_723), '1:02:03'],
    [duration(null), '–'],
    [span(59), '59 s'],
    [span(11_000), '3 h 3 min'],
    [span(180_000), '2 d 2 h'],
    [bytes(999), '999 B'],
    [bytes(146_000_000), '146 MB'],
    [bytes(1_500_000), '1.5 MB'],
    [figureName('tokenAgeMs'), 'Token age'],
    [figure('tokenAgeMs', 21_586), '22 s'],
    [figure('jitterMs', 2.91), '2.9 ms'],
    [figure('waitSeconds', 90), '1 min'],
    [figure('ratio', 0.126), '0.13'],
    [figure('bytesReceived', 103_616), '103,616'],
    [figure('idleMs', null), '–'],
    [words('genesysSignIn'), 'Genesys sign in'],
    [words('threads.shard0'), 'Threads shard0'],
    [words('disk-space'), 'Disk space'],
  ])('%s', (written, expected) => {
    expect(written).toBe(expected);
  });
});
