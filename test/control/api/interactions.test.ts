import { describe, expect, it } from 'vitest';
import type { Interaction, InteractionDetail } from '../../../src/control/api/interaction-schema.js';
import { type Clock, ManualClock } from '../../../src/core/clock.js';
import { type Answer, type ControlNode, makeTokenFile, startControlNode } from '../../support/control/control-node.js';
import { TestCalls, TestSubscription } from '../../support/control/test-calls.js';
import { until } from '../../support/until.js';

interface Page {
  readonly items: readonly Interaction[];
  readonly total: number;
  readonly nextCursor: string | null;
}

const pathOf = (id: string): string => `/api/v1/interactions/${encodeURIComponent(id)}`;

async function start<Calls extends TestCalls>(calls: Calls, clock?: Clock): Promise<ControlNode & { calls: Calls }> {
  const options = { sources: [calls], engine: { playoutDelayMs: 0 }, ...(clock && { clock }) };
  return { ...(await startControlNode({}, options)), calls };
}

async function list({ ask }: ControlNode, query = ''): Promise<Page> {
  const { status, json, text } = await ask(`/api/v1/interactions${query}`);
  expect(status, text).toBe(200);
  return json as Page;
}

const ids = ({ items }: Page): string[] => items.map(({ id }) => id);

async function detail({ ask }: ControlNode, id: string): Promise<InteractionDetail> {
  const { status, json } = await ask(pathOf(id));
  expect(status).toBe(200);
  return json as InteractionDetail;
}

const failure = ({ status, json }: Answer) => [status, (json as { error: { code: string } }).error.code];

describe('the list of interactions', () => {
  it('has everything that is known of each', async () => {
    // A level is that of the last second: this one does not pass by itself.
    const clock = new ManualClock(1_000_000, Date.now());
    const rig = await start(new TestCalls(), clock);
    rig.calls.open('call-1', 2);
    rig.calls.push('call-1', 50);
    rig.calls.skip('call-1', 10);
    rig.calls.push('call-1', 40);
    clock.advanceUs(200_000);
    await until(() => rig.node.stats().framesDelivered >= 200, 'the frames');
    const { items, total, nextCursor } = await list(rig);
    expect({ total, nextCursor }).toEqual({ total: 1, nextCursor: null });
    expect(items[0]).toMatchObject({
      ...{ id: 'call-1', source: 'calls', codec: 'pcmu', sampleRate: 8000, channels: 2, state: 'speech' },
      ...{ paused: false, pausedBy: [], speech: [true, true], packetsReceived: 180, packetsLost: 20, lossRatio: 0.1 },
      ...{ endedAt: null, endReason: null, playoutDelayMs: 50 },
    });
    const { levelDbfs = [0, 0], startedAt = '', ageSeconds } = items[0] ?? {};
    expect(levelDbfs[0]).toBeCloseTo(-6.2, 1);
    expect(ageSeconds).toBe(0.2);
    expect(Date.parse(startedAt ?? '')).toBeCloseTo(clock.wallMs() - 200, 0);
  });

  it('is filtered, sorted and paged, every interaction once', async () => {
    const rig = await start(new TestSubscription());
    for (let n = 0; n < 25; n++) rig.calls.open(`call-${String(n).padStart(2, '0')}`);
    rig.calls.finish('call-07');
    rig.calls.pause('call-08');
    await rig.calls.subscribe(['wanted-1']);
    await until(() => rig.node.stats().streams === 24 && rig.node.stats().streamsOpened === 25, 'the streams');
    for (const sort of ['startedAt', '-startedAt', 'id', '-id', 'state', '-levelDbfs', 'lossRatio', '-jitterMs']) {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page: Page = await list(rig, `?limit=10&sort=${sort}${cursor === '' ? '' : `&cursor=${cursor}`}`);
        expect(page.total).toBe(26);
        seen.push(...ids(page));
        cursor = page.nextCursor;
      }
      expect(seen, sort).toHaveLength(26);
      expect(new Set(seen).size, sort).toBe(26);
      for (const offset of [0, 7, 20, 26]) {
        const { items, total } = await list(rig, `?limit=10&sort=${sort}&offset=${offset}`);
        expect(
          items.map(({ id }) => id),
          `${sort} from ${offset}`,
        ).toEqual(seen.slice(offset, offset + 10));
        expect(total).toBe(26);
      }
      if (sort === 'id') expect(seen).toEqual(seen.toSorted());
      if (sort === '-id') expect(seen).toEqual(seen.toSorted().reverse());
      if (sort === '-startedAt') expect(seen[0]).toBe('wanted-1');
    }
    expect(ids(await list(rig, '?state=ended'))).toEqual(['call-07']);
    expect(ids(await list(rig, '?state=paused,subscribing&sort=id'))).toEqual(['call-08', 'wanted-1']);
    expect(ids(await list(rig, '?q=L-1&sort=id'))).toHaveLength(10);
    expect((await list(rig, '?codec=opus')).total).toBe(0);
    expect((await list(rig, '?source=calls&codec=pcmu')).total).toBe(25);
    expect((await list(rig, '?source=other')).total).toBe(0);
  });

  it.each([
    'limit=0',
    'limit=501',
    'offset=-1',
    'sort=name',
    'state=lost',
    'cursor=%00',
    'cursor=W10',
    `q=${'x'.repeat(200)}`,
  ])('refuses ?%s', async (query) => {
    const { ask } = await start(new TestCalls());
    expect(failure(await ask(`/api/v1/interactions?${query}`))).toEqual([400, 'badRequest']);
  });
});

describe('one interaction', () => {
  it('has its spans and the reception of each channel, and is known after its end', async () => {
    const rig = await start(new TestCalls());
    rig.calls.open('call-1');
    rig.calls.push('call-1', 50);
    rig.calls.skip('call-1', 10);
    rig.calls.push('call-1', 40);
    await until(() => rig.node.stats().framesDelivered >= 100, 'the frames');
    const live = await detail(rig, 'call-1');
    expect(live.reception).toMatchObject([{ channel: 0, packetsReceived: 90, packetsLost: 10, playoutDelayMs: 50 }]);
    expect(live.spansComplete).toBe(true);
    expect(live.spans).toEqual([
      { channel: 0, state: 'speech', startMs: 0, endMs: 1000 },
      { channel: 0, state: 'lost', startMs: 1000, endMs: 1200 },
      { channel: 0, state: 'speech', startMs: 1200, endMs: 2000 },
    ]);
    rig.calls.finish('call-1');
    await until(() => rig.node.stats().streams === 0, 'the end');
    expect(await detail(rig, 'call-1')).toMatchObject({
      ...{ state: 'ended', endReason: 'ended', packetsReceived: 90, packetsLost: 10 },
      ...{ reception: [], latencyMs: null, levelDbfs: [-96, null], speech: [false, null], spans: live.spans },
    });
  });

  it.each(['a/b', '100%', '%2e%2e%2f', '../..', 'ümläut ☎', 'a?b#c', '<script>alert(1)</script>', ' '])(
    'may be called %j',
    async (id) => {
      const rig = await start(new TestSubscription());
      rig.calls.open(id);
      await until(() => rig.node.stats().streams === 1, 'the stream');
      expect(await detail(rig, id)).toMatchObject({ id });
      expect(await rig.ask(`${pathOf(id)}/pause`, { method: 'POST' })).toMatchObject({ json: { id, paused: true } });
      expect(await detail(rig, id)).toMatchObject({ state: 'paused', paused: true, pausedBy: ['operator'] });
      expect((await rig.ask(`${pathOf(id)}/end`, { method: 'POST' })).status).toBe(202);
      await until(() => rig.node.stats().streams === 0, 'the end');
    },
  );

  it.each(['', '/pause', '/resume', '/end'])('that is unknown is not found: %s', async (action) => {
    const { ask } = await start(new TestSubscription());
    const method = action === '' ? 'GET' : 'POST';
    for (const id of ['none', '..%2f', 'x'.repeat(10_000)]) {
      const { status } = await ask(`/api/v1/interactions/${id}${action}`, { method });
      expect(status).toBe(404);
    }
    expect((await ask('/api/v1/interactions/none', { method: 'DELETE' })).status).toBe(404);
  });
});

describe('control of interactions', () => {
  it('pauses, resumes and ends, with an audit entry that names the token', async () => {
    const { file, tokens } = makeTokenFile();
    const calls = new TestSubscription();
    const { node, ask, audited } = await startControlNode({ tokensFile: file }, { sources: [calls] });
    calls.open('call-1');
    await until(() => node.stats().streams === 1, 'the stream');
    for (const action of ['pause', 'resume', 'end']) {
      const path = `/api/v1/interactions/call-1/${action}`;
      expect(await ask(path, { method: 'POST', token: tokens.listener })).toMatchObject({ status: 403 });
      expect((await ask(path, { method: 'POST', token: tokens.operator })).status).toBe(action === 'end' ? 202 : 200);
    }
    await until(() => node.stats().streams === 0, 'the end');
    const mine = audited.filter(({ fields }) => fields.actor === 'operator-1');
    expect(mine.map(({ action, interactionId }) => [action, interactionId])).toEqual([
      ['control_paused', 'call-1'],
      ['control_resumed', 'call-1'],
      ['control_ended', 'call-1'],
    ]);
    expect(audited.filter(({ action }) => action === 'control_refused')).toHaveLength(3);
  });

  it('adds to a subscription and removes from it', async () => {
    const rig = await start(new TestSubscription());
    const body = { interactionIds: ['a', 'b', 'a'] };
    const added = await rig.ask('/api/v1/interactions', { method: 'POST', body });
    expect(added).toMatchObject({ status: 200, json: { items: [{ interactionId: 'a' }, { interactionId: 'b' }] } });
    expect(await detail(rig, 'a')).toMatchObject({ state: 'subscribing', source: 'calls', codec: null, spans: [] });
    expect((await rig.ask(pathOf('a'), { method: 'DELETE' })).status).toBe(202);
    expect(rig.calls.wanted).toEqual(['b']);
    expect((await rig.ask(pathOf('a'), { method: 'DELETE' })).status).toBe(404);
    for (const bad of [{}, { interactionIds: [] }, { interactionIds: ['x'.repeat(200)] }, { interactionIds: [7] }]) {
      expect(failure(await rig.ask('/api/v1/interactions', { method: 'POST', body: bad }))).toEqual([
        400,
        'badRequest',
      ]);
    }
  });

  it('is 409 where the source cannot do it, and says which source to name', async () => {
    const rig = await start(new TestCalls());
    rig.calls.open('call-1');
    await until(() => rig.node.stats().streams === 1, 'the stream');
    const body = { interactionIds: ['a'] };
    for (const answer of [
      await rig.ask(`${pathOf('call-1')}/end`, { method: 'POST' }),
      await rig.ask(pathOf('call-1'), { method: 'DELETE' }),
      await rig.ask('/api/v1/interactions', { method: 'POST', body }),
    ]) {
      expect(failure(answer)).toEqual([409, 'notSupported']);
    }
    const two = [new TestSubscription('one'), new TestSubscription('two')];
    const { ask } = await startControlNode({}, { sources: two });
    const ambiguous = await ask('/api/v1/interactions', { method: 'POST', body });
    expect(failure(ambiguous)).toEqual([409, 'notSupported']);
    expect(ambiguous.text).toContain('one, two');
    expect((await ask('/api/v1/interactions', { method: 'POST', body: { ...body, source: 'two' } })).status).toBe(200);
    expect(two.map(({ wanted }) => wanted)).toEqual([[], ['a']]);
  });
});
