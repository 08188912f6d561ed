import { expect, it } from 'vitest';
import { capacityPage } from '../../bench/capacity/report/report.js';
import type { Figures } from '../../bench/capacity/report/round-figures.js';
import type { CapacityReport, CapacityRun } from '../../bench/capacity/report/summary.js';
import { capacityTable } from '../../bench/capacity/report/table.js';

const BASELINE = {
  coresUsed: 0.1,
  calls: null,
  packetsSent: 100,
  packetsDelivered: 100,
  valid: true,
  latencyMicros: null,
};

const FIGURES: Figures = {
  cpuMicrosPerPacket: 6,
  mainMicrosPerPacket: 4,
  workersMicrosPerPacket: 1.5,
  kernelMicrosPerPacket: 1.25,
  mainKernelMicrosPerPacket: 0.75,
  workersKernelMicrosPerPacket: 0.5,
  switchesPerPacket: 0.0625,
  mainSwitchesPerPacket: 0.03,
  workersSwitchesPerPacket: 0.02,
  packetsPerRead: 48.5,
  p50Micros: 900,
  p99Micros: 4_000,
  p999Micros: 9_000,
  pingP99Micros: null,
  rssBytes: 1e8,
  bytesPerStream: 12_300,
  heapGrowthBytes: 0,
  heapBytesPerMinute: 0,
  generatorMicrosPerPacket: 0.4,
};

function run(streams: number, valid: boolean): CapacityRun {
  return {
    source: 'subscription',
    streams,
    codec: 'pcmu',
    packetMillis: 20,
    record: false,
    encrypt: false,
    packetsSent: 100,
    packetsDelivered: 99,
    dropped: 1,
    droppedWhere: { lost: 1 },
    cpuMicrosPerPacket: 6,
    cpuThreadsMicrosPerPacket: { main: 4, workers: 1.5, others: 0.5 },
    coresUsed: 0.3,
    calls: null,
    baseline: { bareWs: 2, tutorial: 20, plain: null },
    ratio: { bareWs: 3, tutorial: 0.3, plain: null },
    baselines: {
      bareWs: { ...BASELINE, cpuMicrosPerPacket: 2, saturated: false },
      tutorial: { ...BASELINE, cpuMicrosPerPacket: 20, saturated: streams > 1000 },
      plain: null,
    },
    decodeLoop: null,
    latencyMicros: { p50: 900, p99: 4_000, p999: 9_000, max: 12_000 },
    latencyProcessedMicros: { p50: 600, p99: 3_000, p999: 8_000, max: 11_000 },
    eventLoopDelayMillis: { p50: 0.1, p99: 2, max: 5 },
    rssBytes: { idle: 6e7, before: 1e8, after: 1e8 },
    medians: { node: FIGURES, bareWs: { ...FIGURES, cpuMicrosPerPacket: 2 }, tutorial: null, plain: null },
    perRound: { node: [], bareWs: [], tutorial: [], plain: [] },
    heapGrowthBytes: 0,
    externalGrowthBytes: 0,
    generator: { latenessMicros: { p50: 100, p99: 400, max: 2_000 }, cpuMicrosPerPacket: 0.4 },
    rounds: { valid: valid ? 5 : 0, invalid: valid ? 0 : 5 },
    valid,
  };
}

const REPORT: CapacityReport = {
  machine: { cpu: 'A <fast> one', cores: 2, memoryBytes: 2 ** 33, system: 'linux', loadBefore: 0.1 },
  version: '1.2.3',
  commit: '0123456789012345678901234567890123456789',
  date: '2026-01-02T03:04:05.000Z',
  arguments: ['bench', 'capacity', '--sweep', '1000,2000'],
  measurement: true,
  node: 'v20.20.2',
  backend: 'js',
  settings: { source: 'subscription' },
  runs: [run(1000, true), run(2000, false)],
};

const CURVES = REPORT.runs.map(({ streams }) => ({
  streams,
  curves: [
    {
      series: 'node' as const,
      points: [
        { share: 0, us: 500 },
        { share: 0.9, us: 2_000 },
        { share: 0.999, us: 12_000 },
      ],
    },
  ],
}));

it('makes one page with the pictures in it that fetches nothing', () => {
  const page = capacityPage(REPORT, CURVES);
  expect(page.match(/<svg /g)).toHaveLength(3);
  expect(page).not.toMatch(/<script|<link|src=|@import|url\((?!#)/);
  expect(page).toContain('A &lt;fast&gt; one');
  expect(page).not.toContain('NaN');
  expect(page).toContain('Not valid</strong> at 2,000 streams');
  expect(page).not.toMatch(/plain<|null|undefined/);
});

it('says what was run and when, and that a smoke run is not a measurement', () => {
  for (const text of [capacityTable(REPORT), capacityPage(REPORT, CURVES)]) {
    expect(text).toContain('1.2.3');
    expect(text).toContain('0123456789012345678901234567890123456789');
    expect(text).toContain('2026-01-02T03:04:05.000Z');
    expect(text).toContain('bench capacity --sweep 1000,2000');
    expect(text).not.toContain('not a measurement');
  }
  const smoke = { ...REPORT, measurement: false };
  expect(capacityTable(smoke).split('\n')[0]).toContain('not a measurement');
  expect(capacityPage(smoke, CURVES)).toContain('not a measurement');
});

it('reports the figures of AudioHook, and leaves out the tutorial that was not run', () => {
  const percentiles = { p50: 700, p99: 3_210, p999: 5_000, max: 6_543 };
  const calls = {
    openRate: 200,
    openedMicros: percentiles,
    connectedMicros: percentiles,
    pingMicros: percentiles,
    pings: 400,
    errors: { disconnected: 3 },
  };
  const runs = REPORT.runs.map((one) => ({
    ...one,
    source: 'audiohook' as const,
    packetMillis: 200,
    calls,
    baseline: { bareWs: 2, tutorial: null, plain: 5 },
    ratio: { bareWs: 3, tutorial: null, plain: 1.2 },
    record: true,
    baselines: { ...one.baselines, tutorial: null, plain: { ...BASELINE, cpuMicrosPerPacket: 5, saturated: false } },
  }));
  const page = capacityPage({ ...REPORT, runs }, CURVES);
  expect(page).toContain('AudioHook sessions, 200 ms');
  expect(page).toContain('disconnected 3');
  expect(page).not.toContain('tutorial</th>');
  expect(page).toMatch(/node ÷ plain node<\/th><td>1\.20/);
  expect(page).not.toMatch(/due → handled|source document|null|undefined|NaN/);
  const table = capacityTable({ ...REPORT, runs });
  expect(table).toMatch(/ping p50 +p99 +max/);
  expect(table).toContain('3.21');
  expect(table).toContain('disconnected 3');
  expect(table).toContain('5.00 (×1.2)');
  expect(table).not.toMatch(/tutorial|null|undefined|NaN/);
  expect(capacityTable(REPORT)).not.toContain('ping');
});

it('shows what the kernel, thread switches and socket reads come to, for node and baselines', () => {
  const table = capacityTable(REPORT);
  expect(table).toMatch(/kernel +switches +packets\/read/);
  expect(table).toMatch(/1000 +pcmu .* 1\.25 +0\.063 +48\.5 /);
  expect(table).toMatch(/2000 +bareWs +2\.00 .* 48\.5/);
  const page = capacityPage(REPORT, CURVES);
  expect(page).toMatch(/packets in a socket read<\/th><td>48\.5/);
  expect(page).toMatch(/beyond 100 MB, kB<\/th><td>12\.3/);
});
