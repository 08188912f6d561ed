import { describe, expect, it } from 'vitest';
import { CODEC_ID } from '../../src/core/codec.js';
import { KIND, MARK } from '../../src/ring/layout.js';
import { SHARD_COUNTERS } from '../../src/shard/shard-data.js';
import { bothPaths, nativeMissing, ShardRig, type TakenRecord } from '../support/engine/shard-rig.js';

const PCMU = { codec: CODEC_ID.PCMU, sampleRate: 8000 };
const FRAME = 160;
/** Some ten frames of 20 ms. */
const SMALL = { recorderRingBytes: 4096 };

const missing = nativeMissing();

/** Packets `from` to `to` of a stream, decoded; the recorder takes nothing meanwhile. */
function feed(rig: ShardRig, stream: number, from: number, to: number, channel = 0): void {
  for (let n = from; n < to; n++) {
    rig.packet(stream, n, n * FRAME, new Uint8Array(FRAME).fill(n & 0x7f), channel);
    rig.drain();
  }
}

/** What the recorder gets, as `frame 0-160`, `not recorded 160-320` and names of other records. */
function recorded(rig: ShardRig, channel?: number): string[] {
  rig.drain();
  const records: TakenRecord[] = [];
  for (;;) {
    const some = rig.take(rig.recorder);
    records.push(...some);
    rig.drain();
    if (some.length === 0) break;
  }
  return records
    .filter((record) => record.kind !== KIND.EDGE && (channel === undefined || record.channel === channel))
    .map(({ kind, flags, position, fields = [] }) => {
      if (kind === KIND.FRAME) return `frame ${position}-${position + (fields[2] ?? 0)}`;
      const name = flags === MARK.NOT_RECORDED ? 'not recorded' : 'paused';
      if (kind === KIND.MARK) return `${name} ${position}-${position + (fields[1] ?? 0)}`;
      return kind === KIND.OPEN ? 'open' : 'close';
    });
}

/** Whether frames and marks cover the time line from 0 to `end` without gaps or overlaps. */
function covers(records: readonly string[], end: number): boolean {
  let at = 0;
  for (const record of records) {
    const [, from, to] = /(\d+)-(\d+)$/.exec(record) ?? [];
    if (from === undefined) continue;
    if (Number(from) !== at) return false;
    at = Number(to);
  }
  return at === end;
}

const paths: readonly ('js' | 'native')[] = missing === undefined ? ['js', 'native'] : ['js'];

describe.each(paths)('frames that the full ring to the recorder refuses, on the %s path', (path) => {
  function opened(channels: 1 | 2 = 1): ShardRig {
    const rig = new ShardRig(path, SMALL);
    rig.open(0, { ...PCMU, channels });
    rig.drain();
    return rig;
  }

  it('are reported by one mark in front of the next frame that it takes', () => {
    const rig = opened();
    feed(rig, 0, 0, 40);
    const before = recorded(rig);
    expect(before.at(0)).toBe('open');
    expect(before.at(-1)).toMatch(/^frame/);
    feed(rig, 0, 40, 42);
    const after = recorded(rig);
    expect(after).toHaveLength(3);
    expect(after[0]).toMatch(/^not recorded \d+-6400$/);
    expect(after.slice(1)).toEqual(['frame 6400-6560', 'frame 6560-6720']);
    expect(covers([...before, ...after], 6720)).toBe(true);
    expect(rig.counter(SHARD_COUNTERS.RECORDER_REFUSED)).toBeGreaterThan(20);
    rig.end();
  });

  it('are reported before the end of their stream, and before a pause', () => {
    for (const control of ['close', 'mark'] as const) {
      const rig = opened();
      feed(rig, 0, 0, 40);
      if (control === 'close') rig.close(0);
      else rig.mark(0, 6400, 800, MARK.PAUSED);
      const records = recorded(rig);
      expect(records.at(-2)).toMatch(/^not recorded \d+-6400$/);
      expect(records.at(-1)).toBe(control === 'close' ? 'close' : 'paused 6400-7200');
      expect(covers(records, control === 'close' ? 6400 : 7200)).toBe(true);
      rig.end();
    }
  });

  it('are told apart by channel and by stream', () => {
    const rig = opened(2);
    rig.open(1, PCMU);
    for (let n = 0; n < 40; n++) {
      feed(rig, 0, n, n + 1, 0);
      feed(rig, 0, n, n + 1, 1);
    }
    recorded(rig);
    feed(rig, 1, 0, 1);
    feed(rig, 0, 40, 41, 1);
    expect(recorded(rig).filter((record) => record.startsWith('not'))).toHaveLength(1);
    feed(rig, 0, 40, 41, 0);
    expect(recorded(rig, 0)).toEqual([expect.stringMatching(/^not recorded \d+-6400$/), 'frame 6400-6560']);
    rig.end();
  });

  it('leave nothing behind that grows while the disk stands still', () => {
    const rig = opened();
    feed(rig, 0, 0, 3000);
    const records = recorded(rig);
    feed(rig, 0, 3000, 3001);
    records.push(...recorded(rig));
    expect(records.filter((record) => record.startsWith('not'))).toHaveLength(1);
    expect(covers(records, 3001 * FRAME)).toBe(true);
    rig.end();
  });
});

it.skipIf(missing !== undefined)('both paths report the same', () => {
  const { js, native, each } = bothPaths(SMALL);
  each((rig) => rig.open(0, PCMU));
  for (let round = 0; round < 30; round++) {
    each((rig) => feed(rig, 0, round * 25, (round + 1) * 25));
    expect(recorded(native)).toEqual(recorded(js));
  }
});
