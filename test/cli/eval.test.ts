import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { runProgram } from '../../src/cli/program.js';
import { speechWithPauses } from '../support/speech.js';
import { wavFile } from '../support/wav-file.js';

const folder = mkdtempSync(join(tmpdir(), 'trunkline-eval-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const pcm = speechWithPauses([1000, 1500, 1000]);
const WAV = file('call.wav', wavFile({ data: Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength) }));
const lengthMs = pcm.length / 8;

async function evalSilence(...args: string[]): Promise<{ code: number; stdout: string; complaints: string[] }> {
  let stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const complaints: string[] = [];
  const code = await runProgram(['eval', 'silence', ...args], (text) => complaints.push(text));
  return { code, stdout, complaints };
}

describe('trunkline eval silence', () => {
  it('scores a file as one JSON object', async () => {
    // Words follow pauses of 1 s and 1.5 s; where the words end is known by the silence behind them alone.
    const speech = file('call.json', JSON.stringify([[1000, lengthMs - 1000]]));
    const { code, stdout } = await evalSilence(
      ...['--wav', WAV, '--speech', speech, '--mode', 'fixed', '--json', '--spans'],
    );
    expect(code).toBe(0);
    const { frames, live, spans, onsetErrorMillis, speechSpans } = JSON.parse(stdout);
    expect(frames).toBe(Math.floor(lengthMs / 20));
    for (const rates of [live, spans]) {
      expect(Object.keys(rates)).toEqual(['accuracy', 'speechHit', 'nonSpeechHit']);
    }
    expect(spans.nonSpeechHit).toBeGreaterThanOrEqual(95);
    expect(onsetErrorMillis).toMatchObject({ found: 1, missed: 0 });
    expect(speechSpans).toHaveLength(2);
  });

  it.each(['fixed', 'adaptive'])('says in words what it found, also where there is no speech: %s', async (mode) => {
    const { code, stdout } = await evalSilence('--wav', WAV, '--speech', file('none.json', '[]'), '--mode', mode);
    expect(code).toBe(0);
    expect(stdout).toContain('speech found (none)');
    expect(stdout).toContain('onsets found 0, missed 0');
  });

  it.each([[], ['--mode', 'adaptive'], ['--mode', 'neural']])(
    'refuses a threshold for a detector that has none: %s %s',
    async (...mode) => {
      const speech = file('none.json', '[]');
      const refused = await evalSilence('--wav', WAV, '--speech', speech, ...mode, '--threshold', '0.02');
      expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 2, stdout: '' });
      expect(refused.complaints).toEqual([expect.stringContaining('add --mode fixed')]);
    },
  );

  it('applies the threshold to the fixed detector', async () => {
    const speech = file('none.json', '[]');
    const args = ['--wav', WAV, '--speech', speech, '--mode', 'fixed', '--json', '--threshold'];
    const low = JSON.parse((await evalSilence(...args, '0.01')).stdout);
    const high = JSON.parse((await evalSilence(...args, '0.99')).stdout);
    expect(low.spans.nonSpeechHit).toBeLessThan(80);
    expect(high.spans.nonSpeechHit).toBe(100);
  });

  it.each([
    ['speech of another file', '[[0, 10], [9000000, 9000100]]', 'begin at 9000000 ms'],
    ['no JSON', '[[0, 10]', 'bad.json: '],
    ['a segment that ends before it begins', '[[10, 0]]', 'Segment 0 is [10,0]'],
    ['no list', '{"speech": []}', 'must be a list'],
  ])('fails with a message for %s', async (_, labels, says) => {
    const speech = file('bad.json', labels);
    const { code, stdout, complaints } = await evalSilence('--wav', WAV, '--speech', speech);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(complaints).toEqual([expect.stringContaining(says)]);
  });

  it.each([
    ['is missing', join(folder, 'missing.wav'), 'Cannot read'],
    ['is no audio', file('bad.wav', 'no WAV file'), 'bad.wav: It is none of WAV, FLAC and Ogg Opus'],
    ['is empty', file('empty.wav', ''), 'empty.wav: It is none of WAV'],
    ['has less than a frame', file('short.wav', wavFile({ data: Buffer.alloc(300) })), 'shorter than a frame'],
  ])('fails with a message when the file %s', async (_, wav, says) => {
    const { code, stdout, complaints } = await evalSilence('--wav', wav, '--speech', file('no.json', '[]'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(complaints).toEqual([expect.stringContaining(says)]);
  });

  it('wants both files, and a detector that there is', async () => {
    expect(await evalSilence('--wav', WAV)).toMatchObject({ code: 2 });
    expect(await evalSilence('--wav', WAV, '--speech', WAV, '--mode', 'guess')).toMatchObject({ code: 2 });
  });
});
