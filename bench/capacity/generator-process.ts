import { LoadGenerator } from './generator.js';
import { serve, tell } from './messages.js';

let generator: LoadGenerator | undefined;

serve(async (order) => {
  switch (order.kind) {
    case 'generate':
      generator = new LoadGenerator(order.settings.load, (phaseUs) => tell({ kind: 'subscribed', phaseUs }));
      tell({ kind: 'listening', port: await generator.listen() });
      return;
    case 'begin':
      if (generator !== undefined) tell({ kind: 'generated', report: await generator.run(order.timetable) });
      return;
    case 'stop':
      generator?.close();
      process.disconnect?.();
  }
});
