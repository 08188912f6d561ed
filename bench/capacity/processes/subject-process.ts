// First, so that the modules loaded after it do not make the young generation grow.
import '../tuned-heap.js';

import process from 'node:process';
import type { Subject } from '../roles.js';
import { SOURCES } from '../sources.js';
import { serve, tell } from './messages.js';
import { measureWindow } from './window.js';

let subject: Subject | undefined;
let idleRss = 0;

serve(async (order) => {
  switch (order.kind) {
    case 'receive': {
      const { settings, peer } = order;
      subject = await SOURCES[settings.load.source].subject(settings, peer);
      globalThis.gc?.();
      idleRss = process.memoryUsage.rss();
      const url = await subject.start();
      if (url !== undefined) tell({ kind: 'listening', url });
      return;
    }
    case 'begin': {
      if (subject === undefined) return;
      const { meter, backend, workers } = subject;
      meter?.begin(order.timetable);
      const measured = await measureWindow(order.timetable, subject, idleRss);
      const report = { backend, workers, ...measured, ...meter?.report() };
      tell({ kind: 'measured', report });
      return;
    }
    case 'stop':
      await subject?.stop();
      process.disconnect?.();
  }
});
