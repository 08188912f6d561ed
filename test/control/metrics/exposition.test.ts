import { describe, expect, it, test } from 'vitest';
import { expose, Slices, wantsOpenMetrics } from '../../../src/control/metrics/exposition.js';
import { counter, gauge, histogram, Monotonic } from '../../../src/control/metrics/family.js';
import { ManualClock } from '../../../src/core/clock.js';
import { Buckets } from '../../../src/core/statistics/buckets.js';

test.each([
  ['', false],
  ['*/*', false],
  ['text/plain', false],
  ['application/openmetrics-text', true],
  ['application/openmetrics-text; version=1.0.0', true],
  // What Prometheus 2.42 sends.
  [
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
    true,
  ],
  ['application/openmetrics-text;q=0.3,text/plain;q=0.9', false],
  ['application/openmetrics-text;q=0', false],
  ['text/html,application/xhtml+xml,*/*;q=0.8', false],
  ['APPLICATION/OPENMETRICS-TEXT', true],
  [';;;,,,q=', false],
])('Accept: %s asks for OpenMetrics: %s', (accept, wants) => {
  expect(wantsOpenMetrics(accept)).toBe(wants);
});

describe('the text', () => {
  const buckets = new Buckets([1_000, 5_000]);
  for (const us of [500, 1_000, 2_000, 9_000]) buckets.add(us);
  const families = [
    counter('packets', 'Packets.', [[{ result: 'lost' }, 3]]),
    gauge('streams', 'Streams\nthat \\ are "open".', [[{ source: 'a "b"\n\\c' }, 2]]),
    histogram('delay_seconds', 'Delay.', [[{ kind: 'x' }, buckets.read()]], 1e-6),
  ];

  it('is what the format of Prometheus demands, with everything escaped', async () => {
    const { text, contentType } = await expose(families, false, new Slices(new ManualClock()));
    expect(contentType).toContain('text/plain');
    expect(text).toBe(
      [
        '# HELP trunkline_packets_total Packets.',
        '# TYPE trunkline_packets_total counter',
        'trunkline_packets_total{result="lost"} 3',
        '',
        '# HELP trunkline_streams Streams\\nthat \\\\ are "open".',
        '# TYPE trunkline_streams gauge',
        'trunkline_streams{source="a \\"b\\"\\n\\\\c"} 2',
        '',
        '# HELP trunkline_delay_seconds Delay.',
        '# TYPE trunkline_delay_seconds histogram',
        'trunkline_delay_seconds_bucket{le="0.001",kind="x"} 2',
        'trunkline_delay_seconds_bucket{le="0.005",kind="x"} 3',
        'trunkline_delay_seconds_bucket{le="+Inf",kind="x"} 4',
        'trunkline_delay_seconds_sum{kind="x"} 0.0125',
        'trunkline_delay_seconds_count{kind="x"} 4',
        '',
      ].join('\n'),
    );
  });

  it('names counters without _total in OpenMetrics, and ends with EOF', async () => {
    const { text } = await expose(families, true, new Slices(new ManualClock()));
    expect(text).toContain('# TYPE trunkline_packets counter\ntrunkline_packets_total{result="lost"} 3\n');
    expect(text.endsWith('\n# EOF\n')).toBe(true);
  });

  it('lets the event loop turn whenever a slice has taken long enough', async () => {
    const clock = new ManualClock();
    const turns: number[] = [];
    const slices = new Slices({ nowUs: () => clock.nowUs(), wallMs: () => clock.wallMs() });
    const busy = families.map((family) => ({
      ...family,
      get samples() {
        clock.advanceUs(1_000);
        return family.samples;
      },
    }));
    const immediate = (): void => {
      turns.push(clock.nowUs());
      if (turns.length < 50) setImmediate(immediate);
    };
    setImmediate(immediate);
    await expose(busy, false, slices);
    // One turn behind each of the three.
    expect(new Set(turns).size).toBeGreaterThanOrEqual(3);
  });
});

it('a counter never steps back', () => {
  const monotonic = new Monotonic();
  expect([3, 5, 4, 6].map((value) => monotonic.of('lost', value))).toEqual([3, 5, 5, 6]);
  expect(monotonic.of('other', 1)).toBe(1);
});
