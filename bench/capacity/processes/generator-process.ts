import process from 'node:process';
import type { Generator } from '../roles.js';
import { SOURCES } from '../sources.js';
import { serve, tell } from './messages.js';

let generator: Generator | undefined;

serve(async (order) => {
  switch (order.kind) {
    case 'generate': {
      const { load, peer } = order;
      generator = await SOURCES[load.source].generator(load, peer);
      const url = await generator.start();
      if (url !== undefined) tell({ kind: 'listening', url });
      tell({ kind: 'ready', zeroUs: await generator.ready });
      return;
    }
    case 'begin':
      if (generator !== undefined) tell({ kind: 'generated', report: await generator.measure(order.timetable) });
      return;
    case 'stop':
      await generator?.stop();
      process.disconnect?.();
  }
});
