import { describe, expect, it } from 'vitest';
import { FirstOccurrences } from '../../../../src/sources/audiohook/server/warnings.js';
import { newSessionCounts } from '../../../../src/sources/audiohook/session/session-counts.js';
import { API_KEY, CLIENT_SECRET } from '../../../support/audiohook/node-rig.js';
import { RawCall } from '../../../support/audiohook/raw-call.js';
import { rig as serverRig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

const keys = [{ apiKey: API_KEY, clientSecret: CLIENT_SECRET }];

describe('warnings', () => {
  it('come once for each reason', () => {
    const warned: [string, string | undefined][] = [];
    const first = new FirstOccurrences(({ reason, sessionId }) => warned.push([reason, sessionId]));
    const counts = newSessionCounts();
    first.check(counts, 'a');
    expect(warned).toEqual([]);
    counts.strayMessages = 1;
    first.check(counts, 'b');
    counts.strayMessages = 9;
    counts.framesIgnored = 2;
    first.check(counts, 'c');
    first.report('own', 'something');
    first.report('own', 'something');
    expect(warned).toEqual([
      ['strayMessages', 'b'],
      ['framesIgnored', 'c'],
      ['own', undefined],
    ]);
  });

  it('name what a client sends wrongly while its session lasts, and what is dropped at its end', async () => {
    const { url, server } = await serverRig({ keys });
    const warned: string[] = [];
    server.on('warning', ({ reason }) => warned.push(reason));
    const call = await new RawCall(url).open();
    call.sendMessage('telepathy');
    call.sendMessage('discarded', { start: null, discarded: 'PT0S' });
    call.sendMessage('error', { code: 400, message: 'x' });
    await until(() => warned.length === 3, 'the warnings');
    expect(warned.toSorted()).toEqual(['clientErrors', 'startInvalid', 'unknownTypes']);
    await call.ask('closed', 'close', { reason: 'end' });
    call.frame(0x80);
    call.socket.close(1000);
    await until(() => warned.includes('framesIgnored'), 'the warning of the end');
    expect(server.counters().totals).toMatchObject({ framesIgnored: 1, bytesIgnored: 3_200, unknownTypes: 1 });
  });
});

describe('startPaused', () => {
  it.each<[string, unknown]>([
    ['a promise of false', async () => false],
    ['nothing', () => undefined],
    ['null', () => null],
    ['zero', () => 0],
  ])('that returns %s protects: only a plain false lets audio through', async (_name, startPaused) => {
    const { url, ingest } = await serverRig({ keys, startPaused: startPaused as () => boolean });
    const call = await new RawCall(url).open();
    call.frame(0x80);
    await call.close();
    expect(ingest.streams[0]?.marks).toEqual([{ state: 'paused', start: 0, length: 1_600 }]);
  });

  it('that throws ends the session instead of recording it', async () => {
    const startPaused = (): boolean => {
      throw new Error('mine');
    };
    const { url, ingest, server, errors } = await serverRig({ keys, startPaused });
    const call = new RawCall(url);
    await call.connected();
    call.sendMessage('open', call.openParameters());
    call.frame(0x80);
    await until(() => server.counters().sessionsEnded === 1, 'the end');
    expect(errors).toEqual(['mine']);
    expect(ingest.streams[0]?.pcm(0).length ?? 0).toBe(0);
  });
});
