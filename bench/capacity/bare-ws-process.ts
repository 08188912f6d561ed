import { openMediaClients } from './media-clients.js';
import { type SubjectSettings, serve, tell } from './messages.js';
import { TAIL_TICKS } from './plan.js';
import { measureWindow } from './window.js';

/** The least that a `ws` client can do: receive, and forget. It counts, or nobody would know that it kept up. */
let messages = 0;
let settings: SubjectSettings | undefined;
let close = (): void => {};

serve(async (order) => {
  switch (order.kind) {
    case 'connect': {
      settings = order.settings;
      const clients = await openMediaClients(settings.mediaUrl, settings.load.streams, () => {
        messages++;
      });
      close = () => {
        for (const client of clients) client.terminate();
      };
      return;
    }
    case 'begin': {
      if (settings === undefined) return;
      const { load } = settings;
      messages = 0;
      const measured = await measureWindow(load, order.timetable, () => messages);
      // Without a look at the numbers it cannot tell which packets are missing: all that are, from beginning to end,
      // are taken for the window's.
      const missing = load.streams * (load.warmupTicks + load.steadyTicks + TAIL_TICKS) - messages;
      const report = { backend: 'js', ...measured, packetsDelivered: load.streams * load.steadyTicks - missing };
      tell({ kind: 'measured', report });
      return;
    }
    case 'stop':
      close();
      process.disconnect?.();
  }
});
