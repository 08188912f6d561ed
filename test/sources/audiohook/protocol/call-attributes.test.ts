import { expect, it } from 'vitest';
import {
  mergedAttributes,
  openAttributes,
  queryAttributes,
} from '../../../../src/sources/audiohook/protocol/call-attributes.js';

it('the address of a connection may name attributes, never telephone numbers', () => {
  expect(queryAttributes('/audiohook?queue=Sales%20West&tag=vip&tags=a,b&direction=outbound&identities=5')).toEqual({
    ...{ queue: 'Sales West', direction: 'outbound', tags: ['vip', 'a', 'b'] },
  });
  expect(queryAttributes('/audiohook')).toEqual({});
  expect(queryAttributes('/?%E0%A4%A&queue=%')).toEqual({ queue: '%' });
});

it('open names them in customConfig, and over that in inputVariables', () => {
  const participant = { ani: '+12025550147', aniName: 'Caller', dnis: 7 };
  expect(
    openAttributes({
      customConfig: '{"queue":"Sales","tags":["a"],"identities":{"ani":"no"}}',
      inputVariables: { queue: 'Support', tag: 'b', language: 'en' },
      participant,
    }),
  ).toEqual({ queue: 'Support', tags: ['a', 'b'], identities: { ani: '+12025550147', name: 'Caller' } });
  for (const customConfig of [undefined, null, 'no json', 5, ['queue']]) {
    expect(openAttributes({ customConfig, participant: {} })).toEqual({});
  }
});

it('tags add up', () => {
  expect(mergedAttributes({ queue: 'a', tags: ['x'] }, { tags: ['y'] })).toEqual({ queue: 'a', tags: ['x', 'y'] });
});
