import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeyValueStore, StoreEntry } from '../../src/cluster/key-value-store.js';
import { connectToNats, NATS_TIMING, type NatsTiming } from '../../src/cluster/nats/connection.js';
import { NatsStore } from '../../src/cluster/nats/nats-store.js';
import { NatsServers, natsServer } from '../support/cluster/nats-server.js';
import { type Link, SimulatedStore } from '../support/cluster/simulated-store.js';
import { VirtualTime } from '../support/cluster/virtual-time.js';

const binary = natsServer();
/** On a machine that is busy for seconds nothing is given up. */
const PATIENT: NatsTiming = { connectMs: 60_000, pingMs: 60_000, requestMs: 20_000, silentMs: 60_000 };

/** A store, and how to let what was asked of it happen. */
interface Rig {
  readonly store: KeyValueStore;
  settle<Result>(work: Promise<Result>): Promise<Result>;
  /** Until `isDone`. */
  until(isDone: () => boolean): Promise<void>;
  close(): Promise<void>;
}

function simulated(): Rig {
  const time = new VirtualTime();
  const link: Link = { isCut: false, latencyUs: () => 2_000, run: (work) => work() };
  return {
    store: new SimulatedStore(time).client(link),
    settle: async (work) => {
      await time.runFor(20_000);
      return await work;
    },
    until: async (isDone) => {
      while (!isDone()) await time.runFor(1_000);
    },
    close: async () => {},
  };
}

async function real(servers: NatsServers): Promise<Rig> {
  const connection = await connectToNats({ servers: servers.addresses }, 'test', PATIENT);
  const store = await NatsStore.open(connection, { bucket: 'contract', timing: PATIENT });
  return {
    store,
    settle: (work) => work,
    until: async (isDone) => {
      while (!isDone()) await sleep(5);
    },
    close: async () => {
      store.close();
      await connection.close();
    },
  };
}

describe.each([
  ['in virtual time', false],
  ['in JetStream', true],
])('a key-value store %s', (_, isReal) => {
  const isMissing = isReal && binary === undefined;
  let servers: NatsServers | undefined;
  let rig: Rig;

  beforeAll(async () => {
    if (isReal && binary !== undefined) servers = await NatsServers.start(binary);
    if (!isMissing) rig = servers === undefined ? simulated() : await real(servers);
  }, 60_000);

  afterAll(async () => {
    await rig?.close();
    await servers?.close();
  });

  test.skipIf(isMissing)('creates a key once, and again when it has been removed', async () => {
    const { store, settle } = rig;
    const first = await settle(store.create('call.a', { instance: 'x' }));
    expect(first.kind).toBe('written');
    expect(await settle(store.create('call.a', { instance: 'y' }))).toEqual({ kind: 'conflict' });
    const revision = first.kind === 'written' ? first.revision : 0;
    expect(await settle(store.read('call.a'))).toEqual({
      kind: 'read',
      entry: { key: 'call.a', value: { instance: 'x' }, revision },
    });
    const removed = await settle(store.remove('call.a', revision));
    expect(removed.kind).toBe('written');
    const again = await settle(store.create('call.a', { instance: 'y' }));
    if (again.kind !== 'written') throw new Error(again.kind);
    expect(again.revision).toBeGreaterThan(revision);
    expect(await settle(store.read('call.never'))).toEqual({ kind: 'read', entry: undefined });
  });

  test.skipIf(isMissing)('updates and removes at the revision that is named, and at no other', async () => {
    const { store, settle } = rig;
    const created = await settle(store.create('call.b', 1));
    if (created.kind !== 'written') throw new Error(created.kind);
    const updated = await settle(store.update('call.b', 2, created.revision));
    if (updated.kind !== 'written') throw new Error(updated.kind);
    expect(await settle(store.update('call.b', 3, created.revision))).toEqual({ kind: 'conflict' });
    expect(await settle(store.remove('call.b', created.revision))).toEqual({ kind: 'conflict' });
    expect(await settle(store.update('call.none', 3, 1))).toEqual({ kind: 'conflict' });
    const [one, other] = await settle(
      Promise.all([store.update('call.b', 'one', updated.revision), store.update('call.b', 'other', updated.revision)]),
    );
    expect([one.kind, other.kind].toSorted()).toEqual(['conflict', 'written']);
  });

  test.skipIf(isMissing)('watches a prefix: what is there, then what changes, removals included', async () => {
    const { store, settle, until } = rig;
    const a = await settle(store.create('node.a', 'a1'));
    await settle(store.create('other.a', 'no'));
    const seen: (StoreEntry | 'current')[] = [];
    const watch = store.watch('node.', {
      changed: (entry) => seen.push(entry),
      current: () => seen.push('current'),
    });
    await until(() => seen.includes('current'));
    expect(seen.map((one) => (one === 'current' ? one : one.value))).toEqual(['a1', 'current']);
    if (a.kind !== 'written') throw new Error(a.kind);
    await settle(store.update('node.a', 'a2', a.revision));
    const b = await settle(store.create('node.b', 'b1'));
    if (b.kind !== 'written') throw new Error(b.kind);
    await settle(store.remove('node.b', b.revision));
    await until(() => seen.length === 5);
    expect(seen.slice(2)).toMatchObject([
      { key: 'node.a', value: 'a2' },
      { key: 'node.b', value: 'b1', revision: b.revision },
      { key: 'node.b', value: undefined },
    ]);
    watch.stop();
  });

  test.skipIf(isMissing)('watches one key, and says at once that there is nothing', async () => {
    const { store, settle, until } = rig;
    const seen: unknown[] = [];
    const watch = store.watch('leader', {
      changed: ({ value }) => seen.push(value),
      current: () => seen.push('current'),
    });
    await until(() => seen.length === 1);
    await settle(store.create('leader', { instance: 'x' }));
    await until(() => seen.length === 2);
    expect(seen).toEqual(['current', { instance: 'x' }]);
    watch.stop();
  });
});

describe('a store in JetStream', () => {
  test.skipIf(binary === undefined)(
    'answers "unknown" while its server is away, and reads all again afterwards',
    async () => {
      const servers = await NatsServers.start(binary ?? '');
      const timing = { ...PATIENT, requestMs: NATS_TIMING.requestMs };
      const connection = await connectToNats({ servers: servers.addresses }, 'test', timing);
      const store = await NatsStore.open(connection, { bucket: 'contract', timing: PATIENT });
      const hasty = await NatsStore.open(connection, { bucket: 'contract', timing });
      try {
        const created = await store.create('node.a', 1);
        if (created.kind !== 'written') throw new Error(created.kind);
        const seen: StoreEntry[] = [];
        store.watch('node.', { changed: (entry) => seen.push(entry), current: () => {} });
        while (seen.length === 0) await sleep(5);
        await servers.kill(0);
        expect((await hasty.update('node.a', 2, created.revision)).kind).toBe('unknown');
        expect(hasty.counters.unanswered).toBe(1);
        await servers.up(0);
        // The request that was under way may take effect after all; the revision decides.
        let kind = 'unknown';
        while (kind !== 'written') {
          await sleep(20);
          const read = await hasty.read('node.a');
          if (read.kind === 'read') ({ kind } = await hasty.update('node.a', 3, read.entry?.revision ?? 0));
        }
        while (seen.at(-1)?.value !== 3) await sleep(5);
      } finally {
        store.close();
        hasty.close();
        await connection.close();
        await servers.close();
      }
    },
    60_000,
  );

  test.skipIf(binary === undefined)(
    'says who was refused, without the password',
    async () => {
      const servers = await NatsServers.start(binary ?? '', { config: 'authorization { user: a, password: b }' });
      const [address = ''] = servers.addresses;
      const wrong = connectToNats({ servers: [address.replace('//', '//a:secret@')] }, 'test', PATIENT);
      await expect(wrong).rejects.toMatchObject({
        code: 'AUTH_FAILED',
        message: expect.not.stringContaining('secret'),
      });
      const right = await connectToNats({ servers: [address.replace('//', '//a:b@')] }, 'test', PATIENT);
      await right.close();
      await servers.close();
    },
    60_000,
  );
});
