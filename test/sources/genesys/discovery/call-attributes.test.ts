import { expect, it } from 'vitest';
import type { CallAttributes } from '../../../../src/core/attributes/attributes.js';
import { CallDescriptions } from '../../../../src/sources/genesys/discovery/call-attributes.js';

const seen: [string, CallAttributes][] = [];
const descriptions = () => new CallDescriptions((id, attributes) => seen.push([id, attributes]));

it('a notification gives ids; the last queue and agent count, and names that REST has said are taken', () => {
  const calls = descriptions();
  const event = {
    id: 'call',
    participants: [
      { purpose: 'customer', direction: 'inbound', address: 'tel:+12025550147', name: 'Caller' },
      { purpose: 'acd', queue: { id: 'Q-1' } },
      { purpose: 'agent', user: { id: 'first' }, queueId: 'Q-1', direction: 'outbound' },
      { purpose: 'agent', user: { id: 'second' }, queue: { id: 'Q-2' } },
    ],
  };
  const identities = { ani: 'tel:+12025550147', name: 'Caller' };
  expect(calls.read(event)).toEqual({ queue: 'Q-2', user: 'second', direction: 'inbound', identities });
  calls.learn('q-2', 'Support');
  expect(calls.read(event).queue).toBe('Support');
});

it('a conversation resource gives names, numbers and the division; the answer of the SDK may wrap it', () => {
  const resource = {
    id: 'call',
    originatingDirection: 'outbound',
    divisions: [{ division: { id: 'd', name: 'West' } }],
    participants: [
      { purpose: 'customer', calls: [{ ani: '+1', dnis: '+2' }] },
      { purpose: 'agent', queueId: 'q', queueName: 'Sales', userId: 'ann', calls: [{ direction: 'outbound' }] },
    ],
  };
  const expected = {
    ...{ queue: 'Sales', user: 'ann', direction: 'outbound', division: 'West', identities: { ani: '+1', dnis: '+2' } },
  };
  const calls = descriptions();
  expect(calls.read(resource)).toEqual(expected);
  calls.seen('call', { body: resource });
  expect(seen).toEqual([['call', expected]]);
  // Known from now on, also where a notification has the id alone.
  expect(calls.read({ participants: [{ purpose: 'acd', queueId: 'Q' }] }).queue).toBe('Sales');
});

it('anything else says nothing', () => {
  for (const odd of [
    undefined,
    5,
    'text',
    {},
    { participants: 'none' },
    { participants: [5, null, { purpose: {} }] },
  ]) {
    expect(descriptions().read(odd)).toEqual({});
  }
});
