import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { encodePcmu } from '../../../src/audio/codecs/g711.js';
import type { InteractionDetail } from '../../../src/control/api/interaction-schema.js';
import { recorder } from '../../../src/index.js';
import { manifestSchema } from '../../../src/sinks/recorder/files/manifest.js';
import { type ControlNode, startControlNode } from '../../support/control/control-node.js';
import { TestCalls } from '../../support/control/test-calls.js';
import { noise, speechWithPauses } from '../../support/speech.js';
import { until } from '../../support/until.js';

/** Two seconds of G.711. */
const SHARE = 16_000;

async function spansOf({ ask }: ControlNode) {
  const { json } = await ask('/api/v1/interactions/call');
  return (json as InteractionDetail).spans;
}

it.each(['adaptive', 'fixed'] as const)('a live call has the spans of its recording (%s)', async (silenceDetector) => {
  const directory = mkdtempSync(join(tmpdir(), 'trunkline-spans-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const calls = new TestCalls();
  const engine = { playoutDelayMs: 0, silenceDetector };
  const rig = await startControlNode({}, { sources: [calls], sinks: [recorder({ directory })], engine });
  let due = 0;
  // As much at a time as an engine of few streams has space for.
  const send = async (...sides: readonly Uint8Array[]) => {
    const length = Math.max(...sides.map((codes) => codes.length));
    for (let at = 0; at < length; at += SHARE) {
      const parts = sides.map((codes) => codes.subarray(at, at + SHARE));
      calls.send('call', ...parts);
      due += parts.reduce((sum, codes) => sum + Math.ceil(codes.length / 160), 0);
      await until(() => rig.node.stats().framesDelivered >= due, 'the frames');
    }
  };
  const words = encodePcmu(speechWithPauses([1500, 800, 1500]));
  const line = encodePcmu(noise(0.0006, words.length, 9));
  calls.open('call', 2);
  await send(words, line);
  calls.skip('call', 3);
  due += 2 * 3;
  await send(line, words);
  calls.gap('call', 60);
  await send(words.subarray(13_000, 24_000), words);
  await send(new Uint8Array(16_000).fill(0xff), line);
  await send(words);
  const live = await spansOf(rig);
  calls.finish('call');
  await until(() => rig.node.stats().outcomes.recorded === 1, 'the recording');
  const text = readFileSync(join(directory, 'call', 'session.json'), 'utf8');
  const { spans } = manifestSchema.parse(JSON.parse(text));
  expect(new Set(spans.map(({ state }) => state))).toEqual(new Set(['speech', 'silence', 'lost']));
  expect(spans.filter(({ state }) => state === 'speech').length).toBeGreaterThan(4);
  expect(spans.some(({ kind }) => kind !== undefined)).toBe(true);
  expect(await spansOf(rig)).toEqual(spans);
  // What was known before the end differs at most where the one side is shorter.
  const until6s = (of: readonly { readonly endMs: number }[]) => of.filter(({ endMs }) => endMs < 6000);
  expect(until6s(live)).toEqual(until6s(spans));
});
