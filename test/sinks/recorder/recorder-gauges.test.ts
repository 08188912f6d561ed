import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ringBytes } from '../../../src/ring/layout.js';
import { RingConsumer, RingGauge, RingProducer } from '../../../src/ring/ring.js';
import { DiskSpace, diskCheck, RecorderLag } from '../../../src/sinks/recorder/recorder-gauges.js';
import { until } from '../../support/until.js';

const RECORD = 64;

it('the lag is the age of what the recorder has not reached, and 0 once it has', () => {
  const capacity = 1 << 12;
  const place = { memory: new SharedArrayBuffer(ringBytes(capacity)), offset: 0, capacity };
  const [producer, consumer, rings] = [new RingProducer(place), new RingConsumer(place), [new RingGauge(place)]];
  const write = (): void => {
    producer.tryClaim(RECORD);
    producer.commit(RECORD);
    producer.publish();
  };
  const lag = new RecorderLag();
  expect(lag.seconds(rings, 5_000_000)).toBe(0);
  write();
  lag.mark(rings, 5_000_000);
  write();
  lag.mark(rings, 5_500_000);
  expect(lag.seconds(rings, 7_000_000)).toBe(2);
  expect(consumer.peek()).toBeGreaterThanOrEqual(0);
  consumer.release();
  expect(lag.seconds(rings, 7_000_000)).toBe(1.5);
  expect(consumer.peek()).toBeGreaterThanOrEqual(0);
  consumer.release();
  expect(lag.seconds(rings, 9_000_000)).toBe(0);
  for (let n = 0; n < 5_000; n++) lag.mark(rings, 10_000_000 + n);
  expect(lag.seconds(rings, 11_000_000)).toBe(0);
});

it('the space of a disk is known after the first look, and no longer when its folder is gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-space-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const disk = new DiskSpace(folder);
  expect(disk.bytes).toEqual({});
  disk.look(0);
  await until(() => disk.bytes.freeBytes !== undefined, 'the space');
  expect(disk.bytes.freeBytes).toBeGreaterThan(0);
  expect(disk.bytes.diskBytes).toBeGreaterThanOrEqual(disk.bytes.freeBytes ?? Number.POSITIVE_INFINITY);
  rmSync(folder, { recursive: true });
  disk.look(4_999_999);
  expect(disk.bytes.freeBytes).toBeDefined();
  disk.look(5_000_000);
  await until(() => disk.bytes.freeBytes === undefined, 'the loss of the folder');
});

it.each([
  [2000, undefined, 'ok'],
  [1000, undefined, 'ok'],
  [999, undefined, 'degraded'],
  [250, undefined, 'degraded'],
  [249, undefined, 'failing'],
  [0, undefined, 'failing'],
  [undefined, undefined, 'ok'],
  [2000, 'EROFS: read-only file system', 'failing'],
])(
  'with %s bytes free of a watermark of 1000, and the write fault %s, the disk is %s',
  (freeBytes, writeFault, status) => {
    expect(diskCheck('recorder', { freeBytes, writeFault }, 1000)).toMatchObject({ name: 'recorder.disk', status });
  },
);

it('a folder that cannot be written is noticed, and that it can be again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-disk-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const disk = new DiskSpace(join(folder, 'recordings'));
  disk.look(0);
  await until(() => disk.writeFault !== undefined, 'the missing folder');
  expect(disk.writeFault).toMatch(/ENOENT/);
  mkdirSync(join(folder, 'recordings'));
  disk.look(5e6);
  await until(() => disk.writeFault === undefined, 'the folder');
});
