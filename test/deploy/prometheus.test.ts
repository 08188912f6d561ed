import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { metricNames } from '../support/control/metric-names.js';
import { ROOT } from '../support/source-tree.js';

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const RULES = join(ROOT, 'src/deploy/prometheus/rules.yml');
const CHAPTER = join(ROOT, 'src/deploy/WHEN-SOMETHING-IS-WRONG.md');
const DASHBOARD = join(ROOT, 'src/deploy/grafana/dashboard.json');

interface Alert {
  readonly name: string;
  readonly expr: string;
  readonly runbook: string;
}

/** The file is written by us in one form, which is enough to read it by its lines. */
function alerts(): Alert[] {
  const blocks = readFileSync(RULES, 'utf8')
    .split(/^ {6}- alert: /m)
    .slice(1);
  return blocks.map((block) => ({
    name: block.slice(0, block.indexOf('\n')),
    expr: /expr: >-\n\s+(.+)\n/.exec(block)?.[1] ?? '',
    runbook: /runbook_url: (.+)\n/.exec(block)?.[1] ?? '',
  }));
}

/** Names of metrics in an expression, without the suffixes of a histogram. */
function metricsIn(expr: string): string[] {
  return [...expr.matchAll(/\btrunkline_[a-z_]+/g)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, ''));
}

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

function panels(): Panel[] {
  return (JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: Panel[] }).panels;
}

describe('the alert rules', () => {
  it('use metrics that exist', async () => {
    const known = await metricNames();
    const unknown = alerts().flatMap(({ name, expr }) =>
      metricsIn(expr).flatMap((metric) => (known.has(metric) ? [] : [`${name}: ${metric}`])),
    );
    expect(unknown).toEqual([]);
    expect(alerts().length).toBeGreaterThan(20);
    expect(alerts().filter(({ expr }) => !/trunkline_|\bup\b/.test(expr))).toEqual([]);
  });

  it('lead to a section of their own in "When something is wrong", and every section belongs to one', () => {
    const text = readFileSync(CHAPTER, 'utf8');
    const headings = [...text.matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
    expect(headings.toSorted()).toEqual(
      alerts()
        .map(({ name }) => name)
        .toSorted(),
    );
    for (const { name, runbook } of alerts()) {
      expect(runbook).toBe(`src/deploy/WHEN-SOMETHING-IS-WRONG.md#${name.toLowerCase()}`);
    }
    for (const section of text.split(/^### /m).slice(1)) {
      for (const part of ['**Means:**', '**Look at:**', '**Do:**']) expect(section).toContain(part);
    }
  });

  it.skipIf(!hasPromtool)('are accepted by promtool, with the configuration that loads them', () => {
    const checked = execFileSync('promtool', ['check', 'rules', RULES], { encoding: 'utf8' });
    expect(checked).toContain(`SUCCESS: ${alerts().length} rules found`);
    const config = join(ROOT, 'src/deploy/prometheus/prometheus.yml');
    expect(execFileSync('promtool', ['check', 'config', config], { encoding: 'utf8' })).toContain('SUCCESS');
  });

  it.skipIf(!hasPromtool)('fire when they should, and only then, as promtool works it out', () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-rules-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'rules.test.yml');
    writeFileSync(file, JSON.stringify(unitTests()));
    const run = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
    expect(run.stdout + run.stderr).toContain('SUCCESS');
    expect(run.status).toBe(0);
  });

  it.skipIf(!hasPromtool)('have a unit test each', () => {
    const tested = new Set(CASES.map(({ alert }) => alert));
    expect(alerts().flatMap(({ name }) => (tested.has(name) ? [] : [name]))).toEqual([]);
  });
});

describe('the dashboard', () => {
  it('uses metrics that exist', async () => {
    const known = await metricNames();
    const unknown = panels().flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr }) =>
        metricsIn(expr).flatMap((metric) => (known.has(metric) ? [] : [`${title}: ${metric}`])),
      ),
    );
    expect(unknown).toEqual([]);
  });

  it('covers everything that is measured for people to look at, in rows without gaps or overlaps', () => {
    const rows = panels().filter(({ type }) => type === 'row');
    expect(rows.map(({ title }) => title)).toEqual([
      'Overview',
      'Streams',
      'Packets and frames',
      'Latency',
      'Shards and rings',
      'Genesys Cloud connections',
      'AudioHook',
      'Recordings and audit',
      'Process, control server and webhooks',
    ]);
    const taken = new Set<string>();
    for (const { gridPos } of panels()) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x} ${y}`)).toBe(false);
          taken.add(`${x} ${y}`);
        }
      }
    }
    const height = Math.max(...panels().map(({ gridPos }) => gridPos.y + gridPos.h));
    expect(taken.size).toBe(24 * height);
  });

  it.skipIf(!hasPromtool)('has queries that Prometheus can read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-dashboard-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'queries.yml');
    const queries = panels().flatMap(({ targets = [] }) =>
      targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '1m')),
    );
    const rules = queries.map((expr, n) => ({ record: `query:${n}`, expr }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    expect(execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })).toContain('SUCCESS');
  });
});

interface Case {
  readonly alert: string;
  /** By series: its values a minute apart, in promtool's notation. */
  readonly series: Readonly<Record<string, string>>;
  /** When it fires, in minutes; and when not. */
  readonly firesAt: number;
  readonly notAt: number;
}

const NODE = 'job="trunkline",instance="a"';
const bucket = (name: string, le: string, values: string): Record<string, string> => ({
  [`${name}_bucket{${NODE},le="${le}"${name.includes('audiohook') ? ',source="audiohook"' : ''}}`]: values,
});

const CASES: readonly Case[] = [
  { alert: 'TrunklineDown', series: { [`up{${NODE}}`]: '1x5 0x20' }, firesAt: 8, notAt: 6 },
  {
    alert: 'TrunklineUnhealthy',
    series: { [`trunkline_health_status{${NODE},check="disk",affects="ready"}`]: '0x5 2x20' },
    firesAt: 8,
    notAt: 6,
  },
  {
    alert: 'TrunklineDegraded',
    series: { [`trunkline_health_status{${NODE},check="disk",affects="ready"}`]: '0x5 1x20' },
    firesAt: 18,
    notAt: 12,
  },
  {
    alert: 'TrunklineThreadRestarted',
    series: { [`trunkline_thread_restarts_total{${NODE},thread="shard 0"}`]: '0x5 1x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineThreadStalled',
    series: { [`trunkline_thread_heartbeat_age_seconds{${NODE},thread="recorder"}`]: '0.1x5 9x9' },
    firesAt: 8,
    notAt: 5,
  },
  {
    alert: 'TrunklineShardSaturated',
    series: { [`trunkline_thread_busy_seconds_total{${NODE},thread="shard 0"}`]: '0+20x10 200+58x30' },
    firesAt: 35,
    notAt: 9,
  },
  {
    alert: 'TrunklineMainThreadSaturated',
    series: { [`trunkline_eventloop_active_seconds_total{${NODE}}`]: '0+20x10 200+58x30' },
    firesAt: 35,
    notAt: 9,
  },
  {
    alert: 'TrunklineEventLoopDelayed',
    series: { [`trunkline_eventloop_delay_seconds{${NODE},percentile="99"}`]: '0.01x5 0.2x20' },
    firesAt: 14,
    notAt: 6,
  },
  {
    alert: 'TrunklineRingFilling',
    series: {
      [`trunkline_ring_used_bytes{${NODE},thread="shard 0",ring="input"}`]: '10x5 60x20',
      [`trunkline_ring_capacity_bytes{${NODE},thread="shard 0",ring="input"}`]: '100x25',
    },
    firesAt: 8,
    notAt: 5,
  },
  {
    alert: 'TrunklinePacketsDropped',
    series: { [`trunkline_packets_dropped_total{${NODE},reason="inputRing"}`]: '0x5 9x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineLatencyHigh',
    series: {
      ...bucket('trunkline_packet_delivered_seconds', '0.1', '0+100x5 500x30'),
      ...bucket('trunkline_packet_delivered_seconds', '1', '0+100x35'),
      ...bucket('trunkline_packet_delivered_seconds', '+Inf', '0+100x35'),
    },
    firesAt: 20,
    notAt: 4,
  },
  {
    alert: 'TrunklinePacketLoss',
    series: {
      [`trunkline_packets_total{${NODE},result="received"}`]: '0+100x40',
      [`trunkline_packets_total{${NODE},result="lost"}`]: '0+1x10 10+5x30',
    },
    firesAt: 25,
    notAt: 9,
  },
  {
    alert: 'TrunklinePacketsLate',
    series: {
      [`trunkline_packets_total{${NODE},result="received"}`]: '0+100x40',
      [`trunkline_packets_total{${NODE},result="late"}`]: '0+1x10 10+5x30',
    },
    firesAt: 25,
    notAt: 9,
  },
  {
    alert: 'TrunklineNoPackets',
    series: {
      [`trunkline_streams_open{${NODE}}`]: '1x40',
      [`trunkline_packets_total{${NODE},result="received"}`]: '0+100x10 1000x30',
    },
    firesAt: 25,
    notAt: 12,
  },
  {
    alert: 'TrunklineOneWayAudio',
    series: { [`trunkline_one_way_audio_total{${NODE}}`]: '0x10 1x10 5x20' },
    firesAt: 22,
    notAt: 15,
  },
  {
    alert: 'TrunklineRefused',
    series: { [`trunkline_refused_total{${NODE},part="genesys",reason="malformed"}`]: '0+1x10 10+9x30' },
    firesAt: 20,
    notAt: 9,
  },
  {
    alert: 'TrunklineConnectionLost',
    series: { [`trunkline_genesys_disconnects_total{${NODE},source="genesys",reason="abnormal"}`]: '0x5 1x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineConnectionDown',
    series: { [`trunkline_genesys_connections{${NODE},source="genesys",state="waiting"}`]: '0x5 1x20' },
    firesAt: 8,
    notAt: 6,
  },
  {
    alert: 'TrunklineSignInFails',
    series: { [`trunkline_genesys_sign_ins_total{${NODE},source="genesys",result="failed"}`]: '0x5 1x5 1+1x20' },
    firesAt: 18,
    notAt: 10,
  },
  {
    alert: 'TrunklineRestBudgetLow',
    series: {
      [`trunkline_genesys_rest_budget_requests{${NODE},source="genesys"}`]: '50x5 1x20',
      [`trunkline_genesys_rest_budget_limit_requests{${NODE},source="genesys"}`]: '50x25',
    },
    firesAt: 14,
    notAt: 7,
  },
  {
    alert: 'TrunklineNotificationsLost',
    series: { [`trunkline_genesys_notification_channels{${NODE},source="genesys",state="waiting"}`]: '0x5 1x20' },
    firesAt: 9,
    notAt: 6,
  },
  {
    alert: 'TrunklineAudioHookRejections',
    series: { [`trunkline_audiohook_rejections_total{${NODE},source="audiohook",reason="path"}`]: '0x10 0+2x20' },
    firesAt: 20,
    notAt: 10,
  },
  {
    alert: 'TrunklineAudioHookOpensSlowly',
    series: {
      ...bucket('trunkline_audiohook_opened_seconds', '1', '0+100x5 500x30'),
      ...bucket('trunkline_audiohook_opened_seconds', '5', '0+100x35'),
      ...bucket('trunkline_audiohook_opened_seconds', '+Inf', '0+100x35'),
    },
    firesAt: 20,
    notAt: 4,
  },
  {
    alert: 'TrunklineStreamsIncomplete',
    series: { [`trunkline_streams_finished_total{${NODE},outcome="incomplete"}`]: '0x5 2x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineRecorderBehind',
    series: { [`trunkline_recorder_lag_seconds{${NODE},sink="recorder"}`]: '0x5 9x20' },
    firesAt: 8,
    notAt: 5,
  },
  {
    alert: 'TrunklineRecorderErrors',
    series: { [`trunkline_recorder_write_errors_total{${NODE},sink="recorder"}`]: '0x5 2x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineDiskLow',
    series: {
      [`trunkline_disk_free_bytes{${NODE},sink="recorder"}`]: '20x5 9x20',
      [`trunkline_disk_size_bytes{${NODE},sink="recorder"}`]: '100x25',
    },
    firesAt: 8,
    notAt: 5,
  },
  {
    alert: 'TrunklineDiskFullSoon',
    series: { [`trunkline_disk_free_bytes{${NODE},sink="recorder"}`]: '1000x60 1000-10x60' },
    firesAt: 115,
    notAt: 59,
  },
  {
    alert: 'TrunklineAuditLosesEntries',
    series: { [`trunkline_audit_entries_lost_total{${NODE},sink="audit"}`]: '0x5 2x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineControlRefusals',
    series: { [`trunkline_control_refused_total{${NODE},service="control",reason="tokenUnknown"}`]: '0+1x10 10+20x30' },
    firesAt: 20,
    notAt: 9,
  },
  {
    alert: 'TrunklineWebhooksFail',
    series: {
      [`trunkline_webhook_waiting{${NODE},service="webhooks"}`]: '3x40',
      [`trunkline_webhook_delivered_total{${NODE},service="webhooks"}`]: '0+1x10 10x30',
    },
    firesAt: 30,
    notAt: 12,
  },
  {
    alert: 'TrunklineWebhooksGivenUp',
    series: { [`trunkline_webhook_dead_letters_total{${NODE},service="webhooks"}`]: '0x5 2x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineArchiveFails',
    series: {
      [`trunkline_archive_waiting{${NODE},service="archive"}`]: '3x40',
      [`trunkline_archive_recordings_total{${NODE},service="archive"}`]: '0+1x10 10x30',
    },
    firesAt: 30,
    notAt: 12,
  },
  {
    alert: 'TrunklineArchiveLate',
    series: { [`trunkline_archive_oldest_seconds{${NODE},service="archive"}`]: '0+60x120' },
    firesAt: 80,
    notAt: 61,
  },
  {
    alert: 'TrunklineArchiveUnfit',
    series: { [`trunkline_archive_unfit_total{${NODE},service="archive"}`]: '0x5 2x20' },
    firesAt: 7,
    notAt: 4,
  },
  {
    alert: 'TrunklineRetentionFails',
    series: { [`trunkline_retention_failed_total{${NODE}}`]: '0x5 1x200' },
    firesAt: 100,
    notAt: 140,
  },
];

/** In the form that promtool reads; JSON is YAML. Only whether an alert fires is compared, not its texts. */
function unitTests(): object {
  const tests = CASES.map(({ alert, series, firesAt, notAt }) => ({
    name: alert,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      [firesAt, 1],
      [notAt, 0],
    ].map(([minutes, value]) => ({
      expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
      eval_time: `${minutes}m`,
      exp_samples: [{ labels: '{}', value }],
    })),
  }));
  return { rule_files: [RULES], evaluation_interval: '1m', tests };
}
