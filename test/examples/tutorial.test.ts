import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/examples/tutorial.js';
import { type Simulator, startSimulator } from '../../src/simulator/genesys/simulator.js';

let simulator: Simulator;
let lines: string[];
let errors: string[];

beforeEach(() => {
  lines = [];
  errors = [];
});

afterEach(async () => {
  await simulator?.close();
});

function settings(url: { readonly apiUrl: string; readonly mediaUrl: string }) {
  return { ...url, clientId: 'test', clientSecret: 'test', shards: 1, maxStreams: 16, preRollMs: 0 };
}

describe("the tutorial's example", () => {
  it('prints its lines for every frame, and its metrics', async () => {
    simulator = await startSimulator({ codec: 'pcmu', seconds: 2, interactions: 2 });
    const { apiUrl, mediaUrl, interactionIds } = simulator;
    const code = await main({
      region: 'eu-central-1',
      interactionIds,
      settings: settings({ apiUrl, mediaUrl }),
      print: (line) => lines.push(line),
      printError: (line) => errors.push(line),
      metricsMs: 300,
    });
    expect(code).toBe(0);
    const of = (prefix: string) => lines.filter((line) => line.startsWith(prefix));
    const [first = ''] = interactionIds;
    expect(of('[SYNC]')).toHaveLength(200);
    expect(of('[SYNC]')[0]).toMatch(/^\[SYNC\] [\w-]+ timestamp \d+$/);
    const audit = of('{').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(audit).toHaveLength(200);
    expect(Object.keys(audit[0] ?? {})).toEqual([
      ...['timestamp', 'action', 'interactionId', 'sequenceNumber', 'signalDetected', 'privacyCompliant', 'region'],
    ]);
    expect(audit[0]).toMatchObject({ action: 'media_capture', region: 'eu-central-1', privacyCompliant: true });
    const withSignal = audit.filter(({ signalDetected }) => signalDetected);
    expect(of('[ANALYTICS]')).toHaveLength(withSignal.length);
    expect(of('[ANALYTICS]').filter((line) => line === `[ANALYTICS] ${first} chunk received`)).toHaveLength(
      withSignal.filter(({ interactionId }) => interactionId === first).length,
    );
    expect(of('[METRICS]').length).toBeGreaterThan(2);
    expect(of('[METRICS]').at(-1)).toMatch(/^\[METRICS\] PPS: \d+\.\d\d BPS: \d+\.\d\d Loss: 0\.00%$/);
    expect(errors.filter((line) => !line.startsWith('[WS] Disconnected: 1000'))).toEqual([]);
  });

  it('returns 1 without interactions, and says so', async () => {
    const print = (line: string) => errors.push(line);
    expect(await main({ region: '', interactionIds: [], settings: {}, print, printError: print })).toBe(1);
    expect(errors).toEqual(['TARGET_INTERACTIONS environment variable required']);
  });

  it('returns 1 when it is aborted at the start', async () => {
    simulator = await startSimulator({ codec: 'pcmu', seconds: 2, interactions: 1 });
    const { apiUrl, mediaUrl, interactionIds } = simulator;
    const code = await main({
      ...{ region: 'us-east-1', interactionIds, settings: settings({ apiUrl, mediaUrl }) },
      print: (line) => lines.push(line),
      printError: (line) => errors.push(line),
      signal: AbortSignal.abort(new Error('enough')),
    });
    expect(code).toBe(1);
    expect(errors).toEqual(['[SUBSCRIBE] enough']);
  });
});
