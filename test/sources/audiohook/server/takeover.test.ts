import { describe, expect, it } from 'vitest';
import { API_KEY, CLIENT_SECRET } from '../../../support/audiohook/node-rig.js';
import { RawCall, type RawOptions, uuid } from '../../../support/audiohook/raw-call.js';
import { rig as serverRig } from '../../../support/audiohook/server-rig.js';
import { until } from '../../../support/until.js';

const OTHER = { apiKey: 'other', clientSecret: 'b3RoZXIgc2VjcmV0' };
const KEYS = [{ apiKey: API_KEY, clientSecret: CLIENT_SECRET }, OTHER];

async function rig(options: Parameters<typeof serverRig>[0] = {}) {
  const made = await serverRig({ keys: KEYS, lossWindowMs: 2_000, ...options });
  const warnings: string[] = [];
  made.server.on('warning', ({ reason }) => warnings.push(reason));
  return { ...made, warnings, dial: (more: RawOptions = {}) => new RawCall(made.url, more) };
}

describe('a session id that returns while its old connection is not known to be dead', () => {
  it('takes over: the old connection is closed, and the recording goes on', async () => {
    const { dial, ended, ingest, server } = await rig();
    const old = await dial().open();
    old.frame(0x80);
    await old.settled();
    const back = await dial({ earlier: old, sessionId: old.sessionId }).open({ continuedSessions: undefined });
    back.frame(0x80);
    await until(() => old.closeCode !== undefined, 'the end of the old connection');
    await back.close();
    expect(ingest.streams).toHaveLength(1);
    expect(ingest.streams[0]).toMatchObject({ problems: [], endReason: 'ended' });
    expect(ingest.streams[0]?.pcm(0).length).toBe(3_200);
    await until(() => ended.length === 2, 'the summaries');
    expect(ended.map(({ fault, endReason }) => [fault?.kind, endReason])).toEqual([
      ['superseded', 'lost'],
      [undefined, 'ended'],
    ]);
    expect(server.counters()).toMatchObject({ takenOver: 1, continued: 1, sessionsLive: 0, sessionsEnded: 2 });
  });

  it('takes over although all places are taken, since it needs no other', async () => {
    for (const limits of [{ sessions: 1 }, { sessionsPerOrganization: 1 }]) {
      const { dial, server } = await rig({ limits });
      const old = await dial().open();
      const back = await dial({ earlier: old, sessionId: old.sessionId }).open();
      const { organizationId } = old;
      expect(await dial({ organizationId }).connected()).toBeGreaterThan(400);
      await back.close();
      await until(() => server.counters().sessionsLive === 0, 'the end');
      // The place is free again, and only one.
      await (await dial({ organizationId }).open()).close();
    }
  });

  it('takes over before either has opened, and again and again', async () => {
    const { dial, server } = await rig();
    const first = dial();
    await first.connected();
    let last = first;
    for (let i = 0; i < 5; i++) {
      last = dial({ earlier: first, sessionId: first.sessionId });
      expect(await last.connected()).toBeUndefined();
    }
    await last.ask('opened', 'open', last.openParameters({ continuedSessions: [] }));
    await last.close();
    await until(() => server.counters().sessionsEnded === 6, 'the summaries');
    expect(server.counters()).toMatchObject({ takenOver: 5, sessionsLive: 0 });
  });

  it('is refused to another key, another organization, and a request without a signature', async () => {
    const keys = [...KEYS, { apiKey: 'plain' }];
    const { dial, server } = await rig({ keys, allowUnsigned: true });
    const live = await dial().open();
    const { sessionId, organizationId } = live;
    const plain = await dial({ apiKey: 'plain', clientSecret: undefined }).open();
    const refused: RawOptions[] = [
      { sessionId, organizationId, ...OTHER },
      { sessionId, organizationId: uuid() },
      { sessionId: plain.sessionId, organizationId: plain.organizationId, apiKey: 'plain', clientSecret: undefined },
    ];
    for (const options of refused) expect(await dial(options).connected()).toBe(409);
    expect(server.counters()).toMatchObject({ takenOver: 0, sessionsLive: 2, rejected: { sessionLive: 3 } });
    await live.close();
  });
});

describe('pauses of a call that goes on in another session', () => {
  it('ours stays, the client’s is over; both are reported', async () => {
    const { dial, server } = await rig();
    const changes: [string, boolean, boolean][] = [];
    server.on('pauseChanged', ({ by, paused, withheld }) => changes.push([by, paused, withheld]));
    const first = await dial().open();
    first.sendMessage('paused');
    await first.settled();
    server.setPaused(first.conversationId, true);
    first.abort();
    await until(() => server.counters().streamsDetached === 1, 'the loss');
    const second = await dial({ earlier: first }).open();
    expect(changes).toEqual([
      ['client', true, true],
      ['server', true, true],
      ['client', false, true],
    ]);
    server.setPaused(first.conversationId, false);
    second.abort();
    await until(() => server.counters().streamsDetached === 1, 'the loss');
    server.setPaused(first.conversationId, true);
    server.setPaused(first.conversationId, true);
    expect(changes.slice(3)).toEqual([
      ['server', false, false],
      ['server', true, true],
    ]);
  });
});

describe('a stream', () => {
  it('is not continued with another key: it gets none of its audio, and loses none', async () => {
    const { dial, ingest, server, warnings } = await rig();
    const victim = await dial().open();
    victim.frame(0x80);
    await victim.settled();
    const { organizationId, conversationId, sessionId } = victim;
    const continuedSessions = [{ id: sessionId, serverseq: 1, clientseq: 1 }];
    const thief = await dial({ organizationId, conversationId, ...OTHER }).open({ continuedSessions });
    thief.frame(0x10);
    await thief.settled();
    victim.frame(0x80);
    await Promise.all([victim.close(), thief.close()]);
    expect(ingest.streams.map(({ interactionId }) => interactionId)).toEqual([
      conversationId,
      `${conversationId}.${thief.sessionId}`,
    ]);
    expect(ingest.streams[0]?.pcm(0)).toEqual(new Int16Array(3_200).fill(32_124));
    expect(server.counters().continuationsRefused).toEqual({ key: 1 });
    expect(warnings).toContain('continuation:key');
  });

  it('is not continued with another key after its connection was lost, and stays there for its own', async () => {
    const { dial, ingest, server } = await rig();
    const victim = await dial().open();
    victim.frame(0x80);
    await victim.settled();
    victim.abort();
    await until(() => server.counters().streamsDetached === 1, 'the loss');
    const { organizationId, conversationId, sessionId } = victim;
    // With the very id of the lost session, too.
    const thief = await dial({ organizationId, conversationId, sessionId, ...OTHER }).open();
    thief.frame(0x10);
    await thief.close();
    const back = await dial({ earlier: victim }).open();
    back.frame(0x80);
    await back.close();
    expect(ingest.streams[0]?.pcm(0)).toEqual(new Int16Array(3_200).fill(32_124));
    expect(ingest.streams[0]).toMatchObject({ endReason: 'ended', problems: [] });
  });

  it('counts every byte of a session that another one has replaced, and reports none of it as kept', async () => {
    const { dial, ended, ingest, warnings } = await rig();
    const old = await dial().open();
    old.frame(0x80);
    await old.settled();
    const next = await dial({ earlier: old }).open();
    for (let i = 0; i < 3; i++) old.frame(0x10);
    await old.settled();
    next.frame(0x80);
    await next.close();
    await old.close();
    expect(ingest.streams[0]?.pcm(0)).toEqual(new Int16Array(3_200).fill(32_124));
    await until(() => ended.length === 2, 'the summaries');
    const counts = ended.find(({ sessionId }) => sessionId === old.sessionId)?.counts;
    expect(counts).toMatchObject({ samplesKept: 1_600, framesIgnored: 3, bytesIgnored: 9_600, samplesNotTaken: 4_800 });
    expect(warnings).toContain('framesIgnored');
  });
});

describe('the position of a continued session', () => {
  it.each(['PT100000S', 'PT260000S', 'PT3700S'])(
    'of %s is refused, and the stream waits for a sane one',
    async (position) => {
      const { dial, ingest, server, ended, warnings } = await rig();
      const first = await dial().open();
      first.frame(0x80);
      await first.settled();
      first.abort();
      await until(() => server.counters().streamsDetached === 1, 'the loss');
      const liar = dial({ earlier: first });
      await liar.connected();
      liar.sendMessage('open', liar.openParameters(), { position });
      expect((await liar.next('disconnect')).parameters).toEqual({
        reason: 'error',
        info: 'Position too far ahead of the clock',
      });
      await liar.close('disconnect');
      const sane = dial({ earlier: first });
      await sane.connected();
      sane.sendMessage('open', sane.openParameters(), { position: 'PT1S' });
      await sane.next('opened');
      sane.frame(0x80);
      await sane.close();
      expect(ingest.streams).toHaveLength(1);
      expect(ingest.streams[0]?.pcm(0).length).toBe(8_000 + 1_600);
      expect(server.counters().continuationsRefused).toEqual({ ahead: 1 });
      expect(warnings).toContain('continuation:ahead');
      expect(ended.find(({ sessionId }) => sessionId === liar.sessionId)?.fault?.kind).toBe('limit');
    },
  );

  it('is limited for the whole stream: each continuation does not bring an hour of its own', async () => {
    const { dial, ingest, server } = await rig();
    let call = await dial().open();
    call.sendMessage('discarded', { start: 'PT0S', discarded: 'PT3500S' });
    await call.settled();
    call.abort();
    await until(() => server.counters().streamsDetached === 1, 'the loss');
    call = await dial({ earlier: call }).open();
    call.sendMessage('discarded', { start: 'PT0S', discarded: 'PT3500S' });
    expect((await call.next('disconnect')).parameters).toMatchObject({ info: 'Time line too far ahead of the clock' });
    await call.close('disconnect');
    expect(ingest.streams[0]?.pcm(0).length).toBe(3_500 * 8_000);
  });
});

describe('the organizations of a key', () => {
  it('are the only ones that it may be used for, signed or not', async () => {
    const [mine, foreign] = [uuid(), uuid()];
    const keys = [
      { apiKey: API_KEY, clientSecret: CLIENT_SECRET, organizations: [mine.toUpperCase()] },
      { ...OTHER, organizations: [] },
      { apiKey: 'plain', organizations: [mine] },
    ];
    const { dial, server, rejected } = await rig({ keys, allowUnsigned: true });
    const plain = { apiKey: 'plain', clientSecret: undefined };
    expect(await dial({ organizationId: mine }).connected()).toBeUndefined();
    expect(await dial({ organizationId: mine, ...plain }).connected()).toBeUndefined();
    expect(await dial({ organizationId: foreign }).connected()).toBe(401);
    expect(await dial({ organizationId: foreign, ...plain }).connected()).toBe(401);
    expect(await dial({ organizationId: mine, ...OTHER }).connected()).toBe(401);
    expect(server.counters().rejected).toEqual({ organizationNotAllowed: 3 });
    expect(rejected.every(({ reason }) => reason === 'organizationNotAllowed')).toBe(true);
  });
});
