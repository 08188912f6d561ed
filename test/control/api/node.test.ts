import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeTokenFile, startControlNode } from '../../support/control/control-node.js';
import { TestCalls } from '../../support/control/test-calls.js';
import { until } from '../../support/until.js';

interface NodeAnswer {
  readonly warnings: readonly { readonly at: string; readonly level: string; readonly message: string }[];
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

describe('the node', () => {
  it('says what it is and how it does', async () => {
    const calls = new TestCalls();
    const { node, ask } = await startControlNode({}, { sources: [calls] });
    calls.open('call-1');
    await until(() => node.stats().streams === 1, 'the stream');
    const { status, json } = await ask('/api/v1/node');
    expect(status).toBe(200);
    expect(json).toMatchObject({
      ...{ version: expect.stringMatching(/^\d+\.\d+\.\d+/), backend: 'js', status: 'ok', streams: 1, logLevel: null },
      shards: [
        {
          ...{ name: 'shard 0', restarts: 0, streams: 1, utilisation: expect.any(Number) },
          rings: [
            { name: 'input', refused: 0 },
            { name: 'output', refused: 0 },
          ],
        },
      ],
      sources: [{ name: 'calls', kind: 'test', calls: 1 }],
      checks: expect.arrayContaining([{ name: 'node', status: 'ok' }]),
    });
    expect((await ask('/api/v1/node/stats')).json).toMatchObject({ streams: 1, sources: { calls: { calls: 1 } } });
  });

  it('has the newest warnings of its log, whatever logger it has', async () => {
    const logged: string[] = [];
    const logger = { ...quiet, warn: (...values: unknown[]) => void logged.push(JSON.stringify(values)) };
    const source = new TestCalls();
    const { ask } = await startControlNode({}, { sources: [source], logger, services: [] });
    source.log((log) => log.warn({ interactionId: 'call-1', reason: 'slow', secret: 'x' }, 'a warning'));
    source.log((log) => log.warn('only words'));
    for (let n = 0; n < 250; n++) source.log((log) => log.error({ err: new Error(`error ${n}`) }));
    const { warnings } = (await ask('/api/v1/node')).json as NodeAnswer;
    expect(warnings).toHaveLength(200);
    expect(warnings.at(-1)).toMatchObject({ level: 'error', message: 'error 249' });
    expect(logged).toEqual(['[{"interactionId":"call-1","reason":"slow","secret":"x"},"a warning"]', '["only words"]']);
  });

  it('shows its settings to operators, as they are given', async () => {
    const { file, tokens } = makeTokenFile();
    const { ask } = await startControlNode({ tokensFile: file, config: () => ({ clientSecret: '(set)', out: 'x' }) });
    expect((await ask('/api/v1/node/config', { token: tokens.viewer })).status).toBe(403);
    expect(await ask('/api/v1/node/config', { token: tokens.operator })).toMatchObject({
      status: 200,
      json: { clientSecret: '(set)', out: 'x' },
    });
  });
});

describe('operators', () => {
  it('drain it', async () => {
    const { ask, audited } = await startControlNode();
    expect((await ask('/api/v1/node/drain', { method: 'POST', body: { deadlineSeconds: 5 } })).status).toBe(202);
    expect((await ask('/readyz')).status).toBe(503);
    expect(audited).toContainEqual(expect.objectContaining({ action: 'control_drained' }));
    expect((await ask('/api/v1/node/drain', { method: 'POST' })).status).toBe(202);
    expect((await ask('/api/v1/node/drain', { method: 'POST', body: { deadlineSeconds: -1 } })).status).toBe(400);
  });

  it('change its log level', async () => {
    let level = 'info';
    const set = (to: string): void => {
      level = to;
    };
    const logLevel = { get: () => level, set };
    const { ask } = await startControlNode({ logLevel });
    expect((await ask('/api/v1/node/log-level', { method: 'PUT', body: { level: 'loud' } })).status).toBe(400);
    expect(await ask('/api/v1/node/log-level', { method: 'PUT', body: { level: 'debug' } })).toMatchObject({
      status: 200,
      json: { level: 'debug' },
    });
    expect(level).toBe('debug');
    expect((await ask('/api/v1/node')).json).toMatchObject({ logLevel: 'debug' });
    const { ask: other } = await startControlNode();
    expect((await other('/api/v1/node/log-level', { method: 'PUT', body: { level: 'debug' } })).status).toBe(409);
  });

  it('make it read its keys again', async () => {
    let reloads = 0;
    const { ask } = await startControlNode({
      reload: async () => {
        reloads++;
        return [];
      },
    });
    expect(await ask('/api/v1/node/reload', { method: 'POST' })).toMatchObject({ json: { reloaded: true } });
    expect(reloads).toBe(1);
    const { ask: other } = await startControlNode();
    expect((await other('/api/v1/node/reload', { method: 'POST' })).status).toBe(200);
  });

  it('say which file it could not read again', async () => {
    const { file, tokens } = makeTokenFile();
    const { ask } = await startControlNode({ tokensFile: file });
    writeFileSync(file, 'no tokens');
    const answer = await ask('/api/v1/node/reload', { method: 'POST', token: tokens.operator });
    expect(answer).toMatchObject({ status: 500, json: { error: { code: 'reloadFailed' } } });
    expect(JSON.stringify(answer.json)).toContain('token');
  });

  it('only', async () => {
    const { file, tokens } = makeTokenFile();
    const { ask } = await startControlNode({ tokensFile: file });
    for (const [method, path, body] of [
      ['POST', 'drain', {}],
      ['PUT', 'log-level', { level: 'debug' }],
      ['POST', 'reload', undefined],
    ] as const) {
      for (const token of [undefined, tokens.viewer, tokens.listener]) {
        const how = { method, ...(body && { body }), ...(token === undefined ? {} : { token }) };
        expect((await ask(`/api/v1/node/${path}`, how)).status).toBe(token === undefined ? 401 : 403);
      }
    }
  });
});
