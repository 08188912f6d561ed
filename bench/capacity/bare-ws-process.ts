import { openMediaClients } from './media-clients.js';
import { type SubjectSettings, serve, tell } from './messages.js';
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
      const measured = await measureWindow(load, order.timetable, () => messages);
      // Without a look at the numbers it cannot tell which packets came; this many did in the window's time.
      const report = { backend: 'js', ...measured, packetsDelivered: measured.packetsWhileMeasured };
      tell({ kind: 'measured', report });
      return;
    }
    case 'stop':
      close();
      process.disconnect?.();
  }
});
