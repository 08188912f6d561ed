import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { meets, parseAttributeRule, parseCondition, withRules } from '../../../src/core/attributes/attribute-rule.js';
import {
  boundedAttributes,
  changedAttributes,
  MAX_ATTRIBUTES_BYTES,
  readAttributes,
  withoutIdentities,
} from '../../../src/core/attributes/attributes.js';

describe('readAttributes', () => {
  it('takes what can be used and leaves out the rest', () => {
    expect(
      readAttributes({
        ...{ queue: '  Sales ', user: 7, direction: 'INBOUND', division: 'x'.repeat(129), other: 'ignored' },
        tags: ['vip', 'vip', '', 3, 'y'.repeat(65), 'early\u0000\u202ebeta'],
        identities: { ani: '+12025550147', dnis: null, name: '' },
      }),
    ).toEqual({
      ...{ queue: 'Sales', direction: 'inbound', tags: ['vip', 'early beta'] },
      identities: { ani: '+12025550147' },
    });
    expect(readAttributes({ tag: 'a,b' })).toEqual({ tags: ['a', 'b'] });
    for (const nothing of [undefined, null, 'text', 5, []]) expect(readAttributes(nothing)).toEqual({});
  });

  it('never throws, and reads its own result as it is', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const read = boundedAttributes(readAttributes(value));
        expect(readAttributes(read)).toEqual(read);
        expect(Buffer.byteLength(JSON.stringify(read))).toBeLessThanOrEqual(MAX_ATTRIBUTES_BYTES);
      }),
    );
  });

  it('leaves out the last tags where all together are too long for the recorder', () => {
    const tags = Array.from({ length: 16 }, (_, i) => String.fromCharCode(0x4e00 + i).repeat(64));
    const text = '話'.repeat(128);
    const bounded = boundedAttributes({ queue: text, user: text, division: text, tags });
    expect(bounded.tags?.length).toBeGreaterThan(5);
    expect(bounded.tags?.length).toBeLessThan(16);
    expect(Buffer.byteLength(JSON.stringify(bounded))).toBeLessThanOrEqual(MAX_ATTRIBUTES_BYTES);
  });
});

it('a change removes with null and keeps what it does not name', () => {
  const before = { queue: 'Sales', user: 'u', tags: ['a'] };
  expect(changedAttributes(before, { queue: null, division: 'West' })).toEqual({
    user: 'u',
    division: 'West',
    tags: ['a'],
  });
  expect(changedAttributes(before, { tags: [] })).toEqual({ queue: 'Sales', user: 'u' });
  expect(withoutIdentities({ queue: 'a', identities: { ani: '1' } })).toEqual({ queue: 'a' });
});

describe('rules', () => {
  it.each([
    ['queue=sales', true],
    ['queue=Sal*&direction=inbound', true],
    ['queue=Sal', false],
    ['tag=VIP', true],
    ['tag=', false],
    ['user=', true],
    ['queue=', false],
    ['*', true],
    ['queue=Sales&tag=other', false],
  ])('%s: %s', (text, expected) => {
    expect(meets({ queue: 'Sales', direction: 'inbound', tags: ['vip', 'x'] }, parseCondition(text))).toBe(expected);
  });

  it('set attributes and add tags; later rules see what earlier ones have set', () => {
    const rules = [
      'queue=3f2c*:queue=Sales&tag=named',
      'queue=Sales:tag=money&division=West',
      'queue=Other:tag=no',
    ].map(parseAttributeRule);
    expect(withRules({ queue: '3F2C-1', tags: ['own'] }, rules)).toEqual({
      ...{ queue: 'Sales', division: 'West', tags: ['own', 'named', 'money'] },
    });
  });

  it.each([
    'queue=Sales',
    'colour=red:tag=a',
    'queue=Sales:direction=sideways',
    'queue=Sales:queue=',
    `queue=Sales:tag=${'x'.repeat(65)}`,
    ':',
    'queue:tag=a',
  ])('refuse %s', (text) => {
    expect(() => parseAttributeRule(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
