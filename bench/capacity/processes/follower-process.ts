import { Agent, get, request } from 'node:http';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { systemClock } from '../../../src/core/clock.js';
import { interactionId } from '../load/plan.js';

/** Clients of a control server, in a process of their own: `<url> <event clients> <listeners> <consoles>`. They read and discard. */

const RETRY_MS = 100;
const PARENT_MS = 1_000;

/** A page has the samples up to its last request; a second between two, and some time on the way. */
const HISTORY_MS = 1_500;
/** A row of the table is 34 pixels high; beside the visible ones it asks for some more. */
const TABLE_ROWS = 45;

const [url = '', eventClients = '0', listeners = '0', consoles = '0'] = process.argv.slice(2);

function followEvents(): void {
  const outgoing = request(`${url}/api/v1/events`, { agent: false }, (response) => void response.resume());
  outgoing.on('error', () => {});
  outgoing.end();
}

/** Tries until the stream is open. */
async function listen(index: number): Promise<void> {
  const address = `${url.replace(/^http/, 'ws')}/api/v1/interactions/${interactionId(index)}/audio`;
  for (;;) {
    const socket = new WebSocket(address, ['trunkline.audio.v1']);
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.on('open', () => resolve(true));
      socket.on('error', () => resolve(false));
    });
    if (isOpen) return;
    await sleep(RETRY_MS);
  }
}

/** Asks for the same as the pages of the console do, as often: one open on the table, one on a call that it plays. */
function openConsole(index: number): void {
  const agent = new Agent({ keepAlive: true });
  const id = interactionId(index);
  const poll = (everyMs: number, path: () => string): void => {
    setInterval(() => {
      get(`${url}/api/v1/${path()}`, { agent }, (response) => void response.resume()).on('error', () => {});
    }, everyMs);
  };
  let since = '';
  for (const page of ['table', 'call']) {
    poll(1_000, () => 'node');
    poll(1_000, () => {
      const path = `node/history${since === '' ? '' : `?since=${encodeURIComponent(since)}`}`;
      since = new Date(systemClock.wallMs() - HISTORY_MS).toISOString();
      return path;
    });
    if (page === 'table') poll(1_000, () => `interactions?sort=-startedAt&limit=${TABLE_ROWS}`);
    else poll(500, () => `interactions/${id}`);
  }
  void listen(index);
}

for (let n = 0; n < Number(eventClients); n++) followEvents();
for (let n = 0; n < Number(consoles); n++) openConsole(n);
for (let n = 0; n < Number(listeners); n++) void listen(n);
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit();
}, PARENT_MS);
