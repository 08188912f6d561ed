import { expect, it } from 'vitest';
import { rig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

const OTHER = { apiKey: 'other', clientSecret: 'b3RoZXIgc2VjcmV0' };

it('after its keys were replaced, a server takes the new ones and no others; open sessions go on', async () => {
  const { dial, server, rejected, ended } = await rig();
  const open = await dial().open();
  server.replace({ keys: [OTHER] });
  const refused = dial();
  await until(() => rejected.some(({ reason }) => reason === 'keyUnknown'), 'the refusal of the former key');
  refused.abort();
  const admitted = await dial(OTHER).open();
  expect(ended).toEqual([]);
  open.frame(0x55);
  await open.close('end');
  await admitted.close('end');
  await until(() => ended.length === 2, 'the end of both');
  expect(ended.map(({ counts }) => counts.faults)).toEqual([0, 0]);
});

it('keys that cannot be right leave those that there were', async () => {
  const { dial, server } = await rig();
  expect(() => server.replace({ keys: [] })).toThrow(/No API key/);
  expect(() => server.replace({ keys: [OTHER, OTHER] })).toThrow(/must be different/);
  expect(() => server.replace({ keys: [{ apiKey: 'unsigned' }] })).toThrow(/client secret/);
  const call = await dial().open();
  await call.close('end');
});
