import { expect, it } from 'vitest';
import { encodePcmu } from '../../../src/audio/codecs/g711.js';
import { TrunklineProcess } from '../../support/cli/trunkline-process.js';
import { startControlNode } from '../../support/control/control-node.js';
import { TestCalls } from '../../support/control/test-calls.js';
import { stretches } from '../../support/speech.js';
import { until } from '../../support/until.js';

const SPEECH = encodePcmu(stretches(8000, [0.2, 400]));
const ZEROS = new Uint8Array(SPEECH.length).fill(0xff);

it('says which side of a call has no signal, until it has one or its stream ends', async () => {
  const calls = new TestCalls();
  const rig = await startControlNode({}, { sources: [calls], engine: { playoutDelayMs: 0 }, oneWaySeconds: 1 });
  const { ask, node, audited, control } = rig;
  const events: string[] = [];
  node.on('oneWayAudio', ({ info, channel, cause }) => events.push(`${info.interactionId} ${channel} ${cause}`));
  node.on('oneWayAudioEnded', ({ info, reason }) => events.push(`${info.interactionId} ${reason}`));
  node.on('streamEnded', ({ interactionId }) => events.push(`${interactionId} ended`));
  const shown = async (path: string) => (await ask(`/api/v1/${path}`)).json;
  for (const id of ['call-1', 'call-2', 'call-3']) calls.open(id, 2);
  await until(() => {
    for (const id of ['call-1', 'call-2']) calls.send(id, SPEECH, ZEROS);
    calls.send('call-3', SPEECH, SPEECH);
    return events.length === 2;
  }, 'one-way audio');
  expect(events).toEqual(['call-1 1 digitalSilence', 'call-2 1 digitalSilence']);
  const cause = { channel: 1, cause: 'digitalSilence' };
  expect(await shown('interactions/call-1')).toMatchObject({ oneWayAudio: cause });
  expect(await shown('interactions/call-3')).toMatchObject({ oneWayAudio: null });
  expect(await shown('interactions?oneWayAudio=true&sort=id')).toMatchObject({
    ...{ total: 2, items: [{ id: 'call-1', oneWayAudio: cause }, { id: 'call-2' }] },
  });
  expect((await ask('/api/v1/interactions?oneWayAudio=1')).status).toBe(400);
  expect(await shown('node')).toMatchObject({ oneWayAudioNow: 2 });
  expect((await ask('/metrics')).text).toMatch(/^trunkline_one_way_audio_sides 2$/m);
  const status = new TrunklineProcess(['status', '--url', control.url]);
  expect(await status.exited()).toBe(0);
  expect(status.stdout).toMatch(/^ {2}one-way +2 now {2}2 since the start$/m);

  await until(() => {
    calls.send('call-1', SPEECH, SPEECH);
    return events.length === 3;
  }, 'a signal');
  calls.finish('call-2');
  await until(() => events.length === 5, 'the end');
  expect(events.slice(2)).toEqual(['call-1 signal', 'call-2 streamEnded', 'call-2 ended']);
  for (const id of ['call-1', 'call-2']) {
    expect(await shown(`interactions/${id}`)).toMatchObject({ oneWayAudio: null });
  }
  expect(await shown('node')).toMatchObject({ oneWayAudioNow: 0 });
  expect(node.stats()).toMatchObject({ oneWayAudio: 2, oneWayAudioNow: 0 });
  const entries = audited.filter(({ action }) => action.startsWith('one_way_audio'));
  expect(entries.map(({ action, interactionId, fields }) => [action, interactionId, fields])).toEqual([
    ['one_way_audio', 'call-1', { channel: 1, reason: 'digitalSilence' }],
    ['one_way_audio', 'call-2', { channel: 1, reason: 'digitalSilence' }],
    ['one_way_audio_ended', 'call-1', { channel: 1, reason: 'signal' }],
    ['one_way_audio_ended', 'call-2', { channel: 1, reason: 'streamEnded' }],
  ]);
});
