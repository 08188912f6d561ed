import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { countSocketReads } from '../../bench/capacity/processes/socket-reads.js';
import { readThreads, sumOf, usedBetween } from '../../bench/capacity/processes/threads.js';

it('counts the reads of sockets, of the kind that emits data and of the kind that reads into a buffer', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted: Socket[] = [];
  server.on('connection', (socket) => accepted.push(socket));
  let bytes = 0;
  let wake = (): void => {};
  const took = (count: number): void => {
    bytes += count;
    wake();
  };
  const plain = connect(port, '127.0.0.1').on('data', ({ length }: Buffer) => took(length));
  await once(plain, 'connect');
  const buffered = connect({
    port,
    host: '127.0.0.1',
    onread: {
      buffer: Buffer.alloc(64),
      callback: (count) => {
        took(count);
        return true;
      },
    },
  });
  await once(buffered, 'connect');
  while (accepted.length < 2) await new Promise(setImmediate);
  const reads = countSocketReads();
  expect(reads?.()).toBe(0);
  for (const [turn, socket] of [accepted[0], accepted[1], accepted[0]].entries()) {
    const arrived = new Promise<void>((resolve) => {
      wake = resolve;
    });
    socket?.write('twelve bytes');
    await arrived;
    expect([bytes, reads?.()]).toEqual([12 * (turn + 1), turn + 1]);
  }
  for (const socket of [plain, buffered, ...accepted]) socket.destroy();
  server.close();
});

const hasProc = readThreads().size > 0;

it.skipIf(!hasProc)('tells the CPU of the main thread from that of the others, and counts switches', async () => {
  const busyUs = 200_000;
  const before = readThreads();
  const worker = new Worker(
    `const { threadId, parentPort } = require('node:worker_threads');
     const gate = new Int32Array(new SharedArrayBuffer(4));
     for (let i = 0; i < 25; i++) Atomics.wait(gate, 0, 0, 1);
     parentPort.postMessage(threadId);
     setInterval(() => {}, 1000);`,
    { eval: true },
  );
  await once(worker, 'message');
  const started = process.cpuUsage();
  while (process.cpuUsage(started).user + process.cpuUsage(started).system < busyUs);
  const { main, others } = usedBetween(before, readThreads());
  await worker.terminate();
  const all = sumOf([main, ...others]);
  expect(main.cpuUs).toBeGreaterThan(busyUs / 2);
  expect(others.length).toBeGreaterThan(0);
  expect(others.map(({ cpuUs }) => cpuUs)).toEqual(others.map(({ cpuUs }) => cpuUs).sort((a, b) => b - a));
  expect(all.cpuUs).toBeGreaterThanOrEqual(main.cpuUs);
  // Each wait of the worker is one.
  expect(sumOf(others).voluntarySwitches).toBeGreaterThanOrEqual(25);
});
