import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { auditOf, pausedIn, sessionOf } from '../../support/audiohook/node-rig.js';
import { RawCall } from '../../support/audiohook/raw-call.js';
import { TrunklineProcess } from '../../support/cli/trunkline-process.js';
import { until } from '../../support/until.js';

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** 200 ms of audio, and what it takes for the server to have seen it. */
async function send(call: RawCall): Promise<void> {
  call.frame(0x80);
  await call.settled();
}

it('a call of a served AudioHook client is seen, paused, resumed, ended and found from the command line', async () => {
  const out = mkdtempSync(join(tmpdir(), 'trunkline-operate-'));
  onTestFinished(() => rmSync(out, { recursive: true, force: true }));
  const serve = new TrunklineProcess([
    'serve',
    '--port',
    '0',
    '--out',
    out,
    '--control-port',
    String(await freePort()),
  ]);
  onTestFinished(() => void serve.child.kill('SIGKILL'));
  await serve.logged(/console, metrics and API: http/);
  const [, control = ''] = /console, metrics and API: (http:\/\/[\d.:]+)/.exec(serve.stderr) ?? [];
  const { url } = JSON.parse(await serve.ready()) as { url: string };
  const command = async (...args: string[]): Promise<string> => {
    const trunkline = new TrunklineProcess([...args, '--url', control]);
    expect(await trunkline.exited(), trunkline.stderr).toBe(0);
    return trunkline.stdout;
  };

  const call = await new RawCall(url).open();
  const id = call.conversationId;
  await send(call);
  expect(await command('status')).toMatch(/^ {2}audiohook +audiohook {2}1 sessions$/m);
  const asked = call.next('pause');
  expect(await command('pause', id)).toBe(`paused ${id}\n`);
  await asked;
  // The client has not stopped yet: what it sends is withheld all the same.
  await send(call);
  const resumed = call.next('resume');
  await command('resume', id);
  await resumed;
  await send(call);
  expect(await command('find')).toMatch(new RegExp(` recording +${id} `));
  const disconnect = call.next('disconnect');
  expect(await command('end', id)).toBe(`ending ${id}\n`);
  expect((await disconnect).parameters).toMatchObject({ reason: 'completed' });
  await call.close('disconnect');

  await until(() => serve.stderr.includes('stream ended'), 'the end of the stream');
  const found = JSON.parse(await command('find', out, '--interaction', id, '--json')) as { items: object[] };
  expect(found.items).toMatchObject([{ id, state: 'recorded', durationSeconds: 0.6 }]);
  expect(sessionOf(out, id)).toMatchObject({ endReason: 'stopped' });
  expect(pausedIn(sessionOf(out, id), 0)).toEqual([{ from: 1_600, to: 3_200 }]);
  expect((await serve.end()).code).toBe(0);
  const actions = auditOf(out).map(({ action }) => action);
  expect(actions).toEqual(expect.arrayContaining(['control_paused', 'control_resumed', 'control_ended']));
});
