import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/core/clock.js';
import { LatencyMeter } from './latency.js';
import { openMediaClients } from './media-clients.js';
import { type SubjectSettings, serve, tell } from './messages.js';
import { codecOf, interactionIds } from './plan.js';
import { Tutorial } from './tutorial.js';
import { measureWindow } from './window.js';

/** It holds nothing back. */
const HOLD_US = 0;

let settings: SubjectSettings | undefined;
let meter: LatencyMeter | undefined;
let close = async (): Promise<void> => {};

serve(async (order) => {
  switch (order.kind) {
    case 'connect': {
      settings = order.settings;
      const { load, mediaUrl, out } = settings;
      const ids = interactionIds(load.streams);
      const indexOf = new Map(ids.map((id, index) => [id, index]));
      mkdirSync(out, { recursive: true });
      const tutorial = new Tutorial(
        join(out, 'audit.jsonl'),
        ids.filter((_, index) => codecOf(load.codec, index) === 'opus'),
      );
      // Somebody listens, somebody reads the monitor: a process that nobody asks anything of is no comparison.
      let seen = 0;
      tutorial.on('mediaChunk', () => seen++);
      tutorial.on('metadataSync', () => seen++);
      tutorial.monitor.on('data', (line: Buffer) => {
        seen += line.length;
      });
      const latency = new LatencyMeter(load, HOLD_US);
      meter = latency;
      const clients = await openMediaClients(mediaUrl, load.streams, (data) => {
        const packet = tutorial.message(data);
        if (packet === undefined) return;
        const nowUs = systemClock.nowUs();
        latency.packet(indexOf.get(packet.interactionId) as number, packet.sequenceNumber, nowUs, nowUs);
      });
      close = async () => {
        for (const client of clients) client.terminate();
        await tutorial.close();
      };
      return;
    }
    case 'begin': {
      if (settings === undefined || meter === undefined) return;
      const latency = meter;
      latency.begin(order.timetable);
      const measured = await measureWindow(settings.load, order.timetable, () => latency.packets);
      const report = { backend: 'js', ...measured, packetsDelivered: latency.windowPackets };
      tell({ kind: 'measured', report: { ...report, ...latency.encoded() } });
      return;
    }
    case 'stop':
      await close();
      process.disconnect?.();
  }
});
