import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ROLES, type RouteRole } from '../../../src/control/access/roles.js';
import { tokenFileText } from '../../../src/control/access/token-file.js';
import { makeTokenFile, startControlNode } from '../../support/control/control-node.js';

/** Who may do what: the table of the README of the control server, route by route. */
const NEEDED: Readonly<Record<string, RouteRole>> = {
  'get /livez': 'public',
  'get /readyz': 'public',
  'get /metrics': 'viewer',
  'get /api/v1/session': 'viewer',
  'get /api/v1/node': 'viewer',
  'get /api/v1/node/stats': 'viewer',
  'get /api/v1/node/history': 'viewer',
  'get /api/v1/node/config': 'operator',
  'post /api/v1/node/drain': 'operator',
  'put /api/v1/node/log-level': 'operator',
  'post /api/v1/node/reload': 'operator',
  'get /api/v1/interactions': 'viewer',
  'get /api/v1/interactions/{id}': 'viewer',
  'post /api/v1/interactions': 'operator',
  'delete /api/v1/interactions/{id}': 'operator',
  'post /api/v1/interactions/{id}/pause': 'operator',
  'post /api/v1/interactions/{id}/resume': 'operator',
  'post /api/v1/interactions/{id}/end': 'operator',
  'patch /api/v1/interactions/{id}/attributes': 'operator',
  'patch /api/v1/recordings/{id}/attributes': 'operator',
  'get /api/v1/interactions/{id}/audio.wav': 'listener',
  'post /api/v1/interactions/{id}/audio/ticket': 'listener',
  'get /api/v1/recordings': 'viewer',
  'get /api/v1/recordings/{id}': 'listener',
  'get /api/v1/recordings/{id}/audio.wav': 'listener',
  'get /api/v1/recordings/{id}/session.json': 'listener',
  'get /api/v1/recordings/{id}/waveform': 'listener',
  'get /api/v1/recordings/{id}/encrypted': 'listener',
  'get /api/v1/holds': 'viewer',
  'post /api/v1/holds': 'operator',
  'post /api/v1/holds/remove': 'operator',
  'get /api/v1/events': 'viewer',
};

const paths = Object.entries(NEEDED).map(([route, needed]) => {
  const [method = '', path = ''] = route.split(' ');
  return { method: method.toUpperCase(), path: path.replace('{id}', 'call-1'), needed };
});

test('every path of the API is in this table', async () => {
  const { ask } = await startControlNode();
  const { json } = await ask('/api/v1/openapi.json');
  const described = Object.entries((json as { paths: Record<string, object> }).paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(described.toSorted()).toEqual(Object.keys(NEEDED).toSorted());
});

test.each(['no token', ...ROLES] as const)('with %s only what it may do is done', async (held) => {
  const { file, tokens } = makeTokenFile();
  const { ask, node, audited } = await startControlNode({ tokensFile: file });
  const token = held === 'no token' ? undefined : tokens[held];
  const rank = (role: RouteRole | 'no token'): number => ['no token', ...ROLES].indexOf(role);
  const refusals: string[] = [];
  for (const { method, path, needed } of paths) {
    const isRefused = needed !== 'public' && rank(held) < rank(needed);
    // What is allowed would drain the node, or last: that is tested elsewhere.
    if (!isRefused) continue;
    const { status } = await ask(path, { method, ...(token === undefined ? {} : { token }) });
    expect([path, status]).toEqual([path, token === undefined ? 401 : 403]);
    refusals.push(path);
  }
  expect(node.health().checks).toContainEqual({ name: 'node', status: 'ok', affects: 'ready' });
  const written = audited.filter(({ action }) => action === 'control_refused');
  expect(written).toHaveLength(refusals.length);
  const actor = token === undefined ? {} : { actor: `${held}-1` };
  for (const { fields } of written) expect(fields).toMatchObject({ remoteAddress: '127.0.0.1', ...actor });
});

test('a stream of events ends when its token is revoked', async () => {
  const { file, tokens } = makeTokenFile();
  const { control, node } = await startControlNode({ tokensFile: file });
  const headers = { authorization: `Bearer ${tokens.viewer}` };
  const ended = new Promise<string>((resolve) => {
    const outgoing = request(`${control.url}/api/v1/events`, { headers }, (response) => {
      response.resume();
      response.on('close', () => resolve('closed'));
      writeFileSync(file, tokenFileText([]));
      void node.reopen();
    });
    outgoing.on('error', () => resolve('failed'));
    outgoing.end();
  });
  expect(await ended).toBe('closed');
});

test.each(['..', '../secret', '..%2fsecret', '.', '%2e%2e%2fsecret', 'call-1/../../secret', '/etc', ''])(
  'the recording "%s" is none',
  async (id) => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-traversal-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, 'capture'));
    for (const place of ['', 'secret']) {
      mkdirSync(join(folder, place), { recursive: true });
      writeFileSync(join(folder, place, 'session.json'), '{"secret":"value"}');
      writeFileSync(join(folder, place, 'audio.wav'), 'secret value');
    }
    const { ask } = await startControlNode({ recordings: join(folder, 'capture') });
    for (const file of ['session.json', 'audio.wav', 'waveform']) {
      for (const written of [id, encodeURIComponent(id)]) {
        const { status, text } = await ask(`/api/v1/recordings/${written}/${file}`);
        expect([400, 404]).toContain(status);
        expect(text).not.toContain('value');
      }
    }
  },
);
