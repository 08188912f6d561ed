import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '../../../src/core/clock.js';
import { engineOf } from '../../../src/node/audio-node.js';
import { createNode } from '../../../src/node/create-node.js';
import { recorder } from '../../../src/sinks/recorder/recorder-sink.js';
import type { DiskLowEvent } from '../../../src/sinks/sink.js';
import { addPacket } from '../../support/engine/packets.js';
import { readWav } from '../../support/recorder/recorder-rig.js';
import { mountTiny, unmount } from '../../support/recorder/tiny-disk.js';
import { until } from '../../support/until.js';

const FORMAT = { codec: 'pcmu', clockRate: 8000, sampleRate: 8000, channels: 1 } as const;
/** More than lies between two looks at the disk. */
const LOOK_US = 6_000_000;

it('a disk below its watermarks warns, then takes no new recordings, deletes none, and goes on when there is space', async (context) => {
  const disk = mountTiny(8_192);
  if (disk === undefined) return context.skip('a tmpfs may not be mounted here; it takes root');
  let aheadUs = 0;
  const clock = { nowUs: () => systemClock.nowUs() + aheadUs, wallMs: () => systemClock.wallMs() };
  const events: DiskLowEvent[] = [];
  const errors: unknown[] = [];
  const sink = recorder({ directory: disk, minFreeMegabytes: 4, keepDays: 1 });
  const node = await createNode({
    clock,
    engine: { maxStreams: 4, shards: 1, playoutDelayMs: 0, maxPlayoutDelayMs: 0 },
    sinks: [sink],
  });
  try {
    node.on('error', (error) => errors.push(error));
    node.on('diskLow', (event) => events.push(event));
    const engine = engineOf(node);
    const call = async (id: string): Promise<void> => {
      const before = refused();
      const stream = engine.openStream(id, FORMAT);
      for (let n = 0; n < 50; n++) {
        addPacket(engine.batch, { stream, sequence: n, timestamp: n * 160, payload: new Uint8Array(160).fill(0x90) });
      }
      engine.submit();
      engine.endStream(stream, 'ended');
      await until(() => existsSync(join(disk, id, 'session.json')) || refused() > before, `the end of ${id}`);
    };
    const refused = (): number => sink.stats()['recordingsRefused'] ?? 0;
    const look = async (ballast: number, count: number): Promise<void> => {
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(ballast));
      aheadUs += LOOK_US;
      await until(() => events.length === count, `${count} notifications`);
    };
    await call('first');
    await look(15 << 19, 2);
    expect(events).toMatchObject([
      { isLow: true, watermarkBytes: 4 << 20 },
      { isLow: true, refusesNew: true, watermarkBytes: 1 << 20 },
    ]);
    expect(events[0]).not.toHaveProperty('refusesNew');
    expect(sink.health()).toMatchObject([{ status: 'failing' }]);
    await call('refused');
    expect(refused()).toBe(1);
    rmSync(join(disk, 'ballast'));
    await look(0, 4);
    expect(events.slice(2)).toMatchObject([{ isLow: false }, { isLow: false, refusesNew: false }]);
    expect(sink.health()).toMatchObject([{ status: 'ok' }]);
    await call('later');
    await node.close();
    expect(existsSync(join(disk, 'refused'))).toBe(false);
    for (const id of ['first', 'later']) {
      expect(readWav(readFileSync(join(disk, id, 'audio.wav'))).samples).toHaveLength(8_000);
    }
    expect(errors).toEqual([]);
  } finally {
    await node.close();
    unmount(disk);
  }
});
