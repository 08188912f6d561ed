import { request } from 'node:http';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { interactionId } from '../load/plan.js';

/** Clients of a control server, in a process of their own: `<url> <event clients> <listeners>`. They read and discard. */

const RETRY_MS = 100;
const PARENT_MS = 1_000;

const [url = '', eventClients = '0', listeners = '0'] = process.argv.slice(2);

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

for (let n = 0; n < Number(eventClients); n++) followEvents();
for (let n = 0; n < Number(listeners); n++) void listen(n);
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit();
}, PARENT_MS);
