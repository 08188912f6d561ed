interface SparklineProps {
  readonly values: readonly (number | null)[];
  /** How many samples the width holds. Default 120. */
  readonly samples?: number;
  /** The scale reaches at least up to this value, so that noise near zero is not shown as large. */
  readonly atLeast?: number;
}

const WIDTH = 120;
const HEIGHT = 28;

/** The last two minutes of a figure, without axes. */
export function Sparkline({ values, samples = 120, atLeast = 0 }: SparklineProps) {
  const shown = values.slice(-samples);
  const most = Math.max(atLeast, ...shown.map((value) => value ?? 0), Number.MIN_VALUE);
  const from = samples - shown.length;
  const points = shown.flatMap((value, at) => {
    if (value === null) return [];
    const x = ((from + at) / (samples - 1)) * WIDTH;
    const y = HEIGHT - 1.5 - (value / most) * (HEIGHT - 4);
    return [`${x.toFixed(1)},${y.toFixed(1)}`];
  });
  const [first = '0,0'] = points;
  const last = points.at(-1) ?? '0,0';
  const area = `M${first.split(',')[0]},${HEIGHT}L${points.join('L')}L${last.split(',')[0]},${HEIGHT}Z`;
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {points.length > 1 && (
        <>
          <path class="area" d={area} />
          <polyline class="line" points={points.join(' ')} vector-effect="non-scaling-stroke" />
        </>
      )}
    </svg>
  );
}
