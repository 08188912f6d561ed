import { expect, test } from 'vitest';
import { AddressLimiter } from '../../../src/core/network/address-limiter.js';

test.each([
  ['2001:db8::1', '2001:db8::2'],
  ['2001:db8::1', '2001:db8::ffff:0:0:9'],
  ['2001:db8:0:5::1', '2001:db8:0:5:1:2:3:4'],
  ['fe80::1', 'fe80::2:3'],
  ['127.0.0.1', '::ffff:127.0.0.1'],
])('%s and %s have one limit: one host has a /64 of IPv6', (one, other) => {
  const limiter = new AddressLimiter(1, 1);
  expect([limiter.tryTake(one, 0), limiter.tryTake(other, 0)]).toEqual([true, false]);
  expect(limiter.isExhausted(other, 0)).toBe(true);
});

test.each([
  ['2001:db8::1', '2001:db8:0:1::1'],
  ['2001:db8:0:5::1', '2001:db8:0:6::1'],
  ['10.0.0.1', '10.0.0.2'],
])('%s and %s have limits of their own', (one, other) => {
  const limiter = new AddressLimiter(1, 1);
  expect([limiter.tryTake(one, 0), limiter.tryTake(other, 0)]).toEqual([true, true]);
});
