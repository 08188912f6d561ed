import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseWav } from '../../../src/audio/wav.js';
import { ControlClient } from '../../../src/cli/commands/control/client.js';
import { type FeedOptions, feedLiveAudio } from '../../../src/cli/commands/control/live-feed.js';
import { MAIN } from '../../support/cli/trunkline-process.js';
import { samplesOf, trimmed } from '../../support/control/audio-client.js';
import { makeTokenFile, startControlNode } from '../../support/control/control-node.js';
import { LiveCalls } from '../../support/control/live-call.js';
import { until } from '../../support/until.js';

const packet = (n: number) => new Int16Array(160).fill(n);

/** `trunkline listen` in a process of its own. */
function listen(url: string, args: readonly string[], token?: string) {
  const env = { ...process.env, TRUNKLINE_URL: url, ...(token === undefined ? {} : { TRUNKLINE_TOKEN: token }) };
  const child = spawn(process.execPath, [MAIN, 'listen', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const parts: Buffer[] = [];
  const result = { stderr: '', exit: once(child, 'exit'), bytes: () => Buffer.concat(parts), child };
  child.stdout.on('data', (bytes: Buffer) => parts.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => {
    result.stderr += String(bytes);
  });
  return result;
}

describe('trunkline listen', () => {
  it('writes a WAV file until the interaction ends, and says why it ended', async () => {
    const calls = new LiveCalls();
    const { control } = await startControlNode({}, { sources: [calls] });
    calls.open('call 1', { channels: 2 });
    const running = listen(control.url, ['call 1']);
    await until(() => running.bytes().length > 44, 'the header and some silence');
    // The first packet of a stream is held for one that it may have overtaken; those behind it leave as they come.
    calls.send('call 1', packet(1), packet(-1));
    await until(() => running.bytes().includes(Buffer.from(Int16Array.of(1, -1).buffer)), 'the first packet');
    for (let n = 2; n <= 50; n++) calls.send('call 1', packet(n), packet(-n));
    await until(() => running.bytes().includes(Buffer.from(Int16Array.of(50, -50).buffer)), 'the last packet');
    calls.end('call 1');
    expect(await running.exit).toEqual([0, null]);
    expect(running.stderr).toBe('trunkline: The interaction has ended: ended.\n');
    const bytes = running.bytes();
    const { sampleRate, channels, dataOffset } = parseWav(bytes);
    expect([sampleRate, channels]).toEqual([8000, 2]);
    const audio = trimmed(samplesOf(bytes.subarray(dataOffset)));
    expect(audio).toEqual(
      Int16Array.from({ length: 50 * 320 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (1 + Math.floor(i / 320))),
    );
  });

  it('writes PCM alone, in one channel, and leaves at SIGINT', async () => {
    const calls = new LiveCalls();
    const { control } = await startControlNode({}, { sources: [calls] });
    calls.open('call', { channels: 2 });
    const listener = listen(control.url, ['call', '--raw', '--mono']);
    await until(() => listener.bytes().length > 0, 'some silence');
    for (let n = 1; n <= 10; n++) calls.send('call', packet(100 * n), packet(n));
    await until(() => listener.bytes().includes(Buffer.from(Int16Array.of(1010, 1010).buffer)), 'the last packet');
    listener.child.kill('SIGINT');
    expect(await listener.exit).toEqual([0, null]);
    expect(listener.stderr).toContain('8000 Hz, channels: 1');
    const audio = trimmed(samplesOf(listener.bytes()));
    expect(audio).toEqual(Int16Array.from({ length: 1_600 }, (_, i) => 101 * (1 + Math.floor(i / 160))));
    await until(() => control.stats().listeners === 0, 'the listener to be gone');
  });

  it('explains what is wrong, and exits with 1', async () => {
    const calls = new LiveCalls();
    const { file, tokens } = makeTokenFile();
    const { control } = await startControlNode({ tokensFile: file }, { sources: [calls] });
    calls.open('call');
    for (const [args, token, why] of [
      [['nobody'], tokens.listener, /not being captured/],
      [['call'], tokens.viewer, /role/],
      [['call'], undefined, /token/],
      [['call', '--rate', '12345'], tokens.listener, /8000, 11025/],
      [['call', '--url', 'http://127.0.0.1:1'], undefined, /No node answers/],
    ] as const) {
      const listener = listen(control.url, args, token);
      const [code] = (await listener.exit) as [number];
      expect(listener.stderr).toMatch(why);
      expect(code, listener.stderr).toBeGreaterThan(0);
      expect(listener.bytes()).toHaveLength(0);
    }
  }, 30_000);
});

describe('a listener whose node starts again', () => {
  it('says so, connects again and goes on in the format that it began with', async () => {
    const first = new LiveCalls();
    const { node, control } = await startControlNode({}, { sources: [first] });
    first.open('call');
    const output = new PassThrough();
    const parts: Buffer[] = [];
    output.on('data', (bytes: Buffer) => parts.push(bytes));
    const notices: string[] = [];
    const left = new AbortController();
    onTestFinished(() => left.abort());
    const options: FeedOptions = { signal: left.signal, notice: (text) => notices.push(text) };
    const fed = feedLiveAudio(new ControlClient({ url: control.url }), 'call', output, options);
    await until(() => parts.length > 1, 'some silence');
    const { port } = new URL(control.url);
    await node.close();
    await until(() => notices.some((text) => /Trying again/.test(text)), 'the loss to be told');

    const second = new LiveCalls();
    await startControlNode({ port: Number(port) }, { sources: [second] });
    second.open('call', { clockRate: 16_000, sampleRate: 16_000, channels: 2 });
    const before = Buffer.concat(parts).length;
    await until(() => Buffer.concat(parts).length > before, 'more audio', 30_000);
    second.end('call');
    await fed;
    expect(notices[0]).toMatch(/connection was lost \(stopped\)/);
    expect(notices.at(-1)).toBe('The interaction has ended: ended.');
    // One header, of the first stream.
    const bytes = Buffer.concat(parts);
    expect(parseWav(bytes)).toMatchObject({ sampleRate: 8000, channels: 1, dataOffset: 44 });
    expect(bytes.lastIndexOf('RIFF')).toBe(0);
  }, 60_000);
});
