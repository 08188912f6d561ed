import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wavHeader } from '../../../src/audio/wav.js';
import { type Manifest, parseManifest } from '../../../src/sinks/recorder/files/manifest.js';
import { writeCheckpoint, writeManifest } from '../../../src/sinks/recorder/files/manifest-file.js';
import { thisWriter } from '../../../src/sinks/recorder/files/writer.js';
import { repairRecordings } from '../../../src/sinks/recorder/repair.js';
import { readWav, tone } from '../../support/recorder/recorder-rig.js';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'trunkline-repair-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The highest process id that Linux ever gives is 2^22. */
const DEAD = { host: hostname(), pid: 2 ** 22 + 1, startTicks: '1' };

function unfinished(over: Partial<Manifest> = {}): Manifest {
  return {
    interactionId: 'call',
    codec: 'pcmu',
    clockRate: 8000,
    sampleRate: 8000,
    channels: 1,
    startedAt: '2024-01-01T00:00:00.000Z',
    endedAt: null,
    endReason: null,
    packetsReceived: 10,
    bytesReceived: 0,
    packetsLost: 1,
    packetsLate: 0,
    packetsRepaired: 0,
    packetsDuplicate: 0,
    packetsReordered: 0,
    decodeErrors: 0,
    spans: [],
    writer: DEAD,
    ...over,
  };
}

/** A recording as a kill leaves it: the header's sizes are those of some time before. */
function leave(folder: string, manifest: Manifest | undefined, pcm: Int16Array, tail: number[] = []): void {
  mkdirSync(join(dir, folder));
  const header = wavHeader({ sampleRate: 8000, channels: manifest?.channels ?? 1 }, 0);
  const data = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  writeFileSync(join(dir, folder, 'audio.wav'), Buffer.concat([header, data, Buffer.from(tail)]));
  if (manifest === undefined) return;
  if (manifest.endReason === null) writeCheckpoint(join(dir, folder), manifest, 0o600);
  else writeManifest(join(dir, folder), manifest, 0o600);
}

const wav = (folder: string) => readWav(readFileSync(join(dir, folder, 'audio.wav')));
const manifest = (folder: string) => parseManifest(readFileSync(join(dir, folder, 'session.json'), 'utf8'));
const everything = () =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name)).toString('base64')]);

describe('a recording whose writer was killed', () => {
  it('opens with all that the file holds, without half a sample', async () => {
    leave('call', unfinished(), tone(0, 16_000), [7]);
    expect(await repairRecordings(dir)).toEqual({ recordings: 1, repaired: ['call'], live: [], failed: [] });
    expect(wav('call').samples).toEqual(tone(0, 16_000));
  });

  it('cuts to whole samples of both channels', async () => {
    leave('call', unfinished({ channels: 2 }), tone(0, 16_001), [1]);
    await repairRecordings(dir);
    expect(wav('call').samples).toEqual(tone(0, 16_000));
  });

  it('gets its end from its length, and claims no counts, because those of a checkpoint are from long before the kill', async () => {
    leave('call', unfinished(), tone(0, 20_000));
    await repairRecordings(dir);
    const repaired = manifest('call');
    expect(repaired).toMatchObject({
      endReason: 'interrupted',
      endedAt: '2024-01-01T00:00:02.500Z',
      packetsReceived: null,
      bytesReceived: null,
      packetsLost: null,
      codec: 'pcmu',
    });
    expect(repaired?.writer).toBeUndefined();
  });

  it('keeps the spans that were written and measures the rest', async () => {
    const pcm = new Int16Array(24_000);
    pcm.set(tone(0, 8000), 0);
    pcm.set(tone(0, 8000), 16_000);
    const spans: Manifest['spans'] = [
      { state: 'speech', channel: 0, startMs: 0, endMs: 400 },
      { state: 'lost', channel: 0, startMs: 400, endMs: 420 },
    ];
    leave('call', unfinished({ spans }), pcm);
    await repairRecordings(dir);
    const [first, lost, speech, silence, last, ...more] = manifest('call')?.spans ?? [];
    expect([first, lost]).toEqual(spans);
    expect(speech).toMatchObject({ state: 'speech', startMs: 420 });
    // Blocks of 100 ms: the crossings are known no better.
    expect(silence?.state).toBe('silence');
    expect(Math.abs((silence?.startMs ?? 0) - 1000)).toBeLessThan(100);
    expect(last).toMatchObject({ state: 'speech', endMs: 3000 });
    expect(more).toEqual([]);
  });

  it('is shorter than its spans when the audio never reached the file', async () => {
    leave('call', unfinished({ spans: [{ state: 'speech', channel: 0, startMs: 0, endMs: 5000 }] }), tone(0, 8000));
    await repairRecordings(dir);
    expect(manifest('call')?.spans).toEqual([{ state: 'speech', channel: 0, startMs: 0, endMs: 1000 }]);
  });

  it('opens even when it was killed before its header was written', async () => {
    leave('call', unfinished(), tone(0, 100));
    truncateSync(join(dir, 'call', 'audio.wav'), 10);
    await repairRecordings(dir);
    expect(wav('call')).toMatchObject({ sampleRate: 8000, samples: new Int16Array(0) });
    expect(manifest('call')).toMatchObject({
      endReason: 'interrupted',
      endedAt: '2024-01-01T00:00:00.000Z',
      spans: [],
    });
  });

  it('opens when it was killed before its session.json, once it has been quiet for 30 s', async () => {
    leave('call', undefined, tone(0, 8000));
    expect((await repairRecordings(dir)).live).toEqual(['call']);
    utimesSync(join(dir, 'call', 'audio.wav'), 1_700_000_000, 1_700_000_000);
    expect((await repairRecordings(dir)).repaired).toEqual(['call']);
    expect(wav('call').samples).toEqual(tone(0, 8000));
  });

  it.each([
    ['before a byte was written', Buffer.alloc(0), 0],
    ['within its header', Buffer.from('RIFF\0'), 0],
    ['before its header', Buffer.concat([Buffer.alloc(44), Buffer.from(tone(0, 8000).buffer)]), 8000],
  ])(
    'opens when it was killed %s and before its session.json: as 8 kHz mono, which is noted',
    async (_, left, samples) => {
      mkdirSync(join(dir, 'call'));
      writeFileSync(join(dir, 'call', 'audio.wav'), left);
      expect((await repairRecordings(dir)).live).toEqual(['call']);
      utimesSync(join(dir, 'call', 'audio.wav'), 1_700_000_000, 1_700_000_000);
      expect(await repairRecordings(dir)).toMatchObject({ repaired: ['call'], failed: [] });
      expect(wav('call')).toEqual({ sampleRate: 8000, channels: 1, samples: tone(0, samples) });
      expect(manifest('call')).toMatchObject({
        interactionId: 'call',
        endReason: 'interrupted',
        endedAt: '2023-11-14T22:13:20.000Z',
        formatAssumed: true,
      });
      expect(manifest('call')?.spans.at(-1)?.endMs ?? 0).toBe(samples / 8);
      expect((await repairRecordings(dir)).repaired).toEqual([]);
    },
  );

  it('takes the format of a session.json that had no header to go with it', async () => {
    leave('call', unfinished({ channels: 2, sampleRate: 16_000 }), tone(0, 16_000));
    const file = join(dir, 'call', 'audio.wav');
    writeFileSync(file, readFileSync(file).fill(0, 0, 44));
    expect((await repairRecordings(dir)).repaired).toEqual(['call']);
    expect(wav('call')).toEqual({ sampleRate: 16_000, channels: 2, samples: tone(0, 16_000) });
    expect(manifest('call')?.formatAssumed).toBeUndefined();
  });

  it.each([null, 'ended'])('takes what was written but not yet renamed, end %s', async (endReason) => {
    const ended = { endReason, endedAt: endReason && '2024-01-01T00:00:01.000Z' };
    leave('call', undefined, tone(0, 8000));
    writeCheckpoint(join(dir, 'call'), unfinished(ended), 0o600);
    expect((await repairRecordings(dir)).repaired).toEqual(['call']);
    expect(readdirSync(join(dir, 'call')).sort()).toEqual(['audio.wav', 'session.json']);
    expect(manifest('call')).toMatchObject({
      endReason: endReason ?? 'interrupted',
      endedAt: '2024-01-01T00:00:01.000Z',
    });
  });

  it('has one of its last two checkpoints, wherever between two pages the kill has cut the writing of the last', async () => {
    const spans = (count: number) =>
      Array.from({ length: count }, (_, i) => ({
        state: i % 2 === 0 ? ('speech' as const) : ('silence' as const),
        channel: 0 as const,
        startMs: i * 10,
        endMs: (i + 1) * 10,
      }));
    leave('call', unfinished({ spans: spans(150) }), tone(0, 16_000));
    const files = ['session.json.partial.spare', 'session.json.partial'].map((name) => join(dir, 'call', name));
    const before = files.map((file) => readFileSync(file));
    writeCheckpoint(join(dir, 'call'), unfinished({ spans: spans(190), packetsReceived: 123_456 }), 0o600);
    const after = files.map((file) => readFileSync(file));
    const pages = Math.ceil((after[0]?.length ?? 0) / 4096);
    expect(pages).toBeGreaterThan(3);
    const torn = (index: number, page: number) =>
      Buffer.concat(
        [after[index]?.subarray(0, page * 4096) ?? '', before[index]?.subarray(page * 4096) ?? ''].map(Buffer.from),
      );
    for (const [writing] of files.entries()) {
      for (let page = 1; page < pages; page++) {
        for (const [index, file] of files.entries()) {
          writeFileSync(
            file,
            index === writing ? torn(index, page) : ((index < writing ? after : before)[index] ?? ''),
          );
        }
        rmSync(join(dir, 'call', 'session.json'), { force: true });
        expect((await repairRecordings(dir)).repaired).toEqual(['call']);
        expect(readdirSync(join(dir, 'call')).sort()).toEqual(['audio.wav', 'session.json']);
        const known = writing === 0 ? 150 : 190;
        expect(manifest('call')?.spans.slice(0, known)).toEqual(spans(known));
        expect(manifest('call')?.spans[known]).toMatchObject({ startMs: known * 10, endMs: 2000 });
      }
    }
  });

  it('is repaired once, even with a session.json of an older version: a second time changes nothing', async () => {
    leave('call', undefined, tone(0, 16_000), [1]);
    writeManifest(join(dir, 'call'), unfinished(), 0o600);
    writeFileSync(join(dir, 'call', 'session.json.partial'), '{"interac');
    await repairRecordings(dir);
    const once = everything();
    expect(once.map(([name]) => name).sort()).toEqual(['audio.wav', 'session.json']);
    expect(await repairRecordings(dir)).toEqual({ recordings: 1, repaired: [], live: [], failed: [] });
    expect(everything()).toEqual(once);
  });
});

describe('what is left alone', () => {
  it('a finished recording, byte for byte, whatever its header says', async () => {
    const { writer: _, ...rest } = unfinished({ endReason: 'ended', endedAt: '2024-01-01T00:00:01.000Z' });
    leave('call', rest, tone(0, 8000), [3]);
    const before = everything();
    expect(await repairRecordings(dir)).toEqual({ recordings: 1, repaired: [], live: [], failed: [] });
    expect(everything()).toEqual(before);
  });

  it('a recording that this very process is writing', async () => {
    leave('call', unfinished({ writer: thisWriter() }), tone(0, 8000), [3]);
    utimesSync(join(dir, 'call', 'audio.wav'), 1_700_000_000, 1_700_000_000);
    const before = everything();
    expect((await repairRecordings(dir)).live).toEqual(['call']);
    expect(everything()).toEqual(before);
  });

  it.runIf(thisWriter().startTicks !== '')('but not one of a process that had the same id before', async () => {
    leave('call', unfinished({ writer: { ...thisWriter(), startTicks: '1' } }), tone(0, 8000));
    expect((await repairRecordings(dir)).repaired).toEqual(['call']);
  });

  it('a recording from another host that was written just now', async () => {
    leave('call', unfinished({ writer: { ...DEAD, host: 'another' } }), tone(0, 8000));
    expect((await repairRecordings(dir)).live).toEqual(['call']);
  });

  it('other files and folders', async () => {
    writeFileSync(join(dir, 'audit.jsonl'), '{}\n');
    mkdirSync(join(dir, 'notes'));
    expect((await repairRecordings(dir)).recordings).toBe(0);
  });

  it('a folder whose session.json or audio is not ours is reported, and the others are repaired', async () => {
    leave('a', unfinished(), tone(0, 100));
    writeFileSync(join(dir, 'a', 'session.json'), '{"mine":true}');
    mkdirSync(join(dir, 'b'));
    writeFileSync(join(dir, 'b', 'audio.wav'), 'RIFF, but another one, and longer than a header is');
    utimesSync(join(dir, 'b', 'audio.wav'), 1_700_000_000, 1_700_000_000);
    leave('c', unfinished(), tone(0, 100));
    const report = await repairRecordings(dir);
    expect(report.repaired).toEqual(['c']);
    expect(report.failed.map(({ folder }) => folder).sort()).toEqual(['a', 'b']);
  });

  it('a folder that does not exist has nothing to repair', async () => {
    expect(await repairRecordings(join(dir, 'none'))).toEqual({ recordings: 0, repaired: [], live: [], failed: [] });
  });
});
