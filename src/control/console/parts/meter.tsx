import { decibels } from './format.js';

const FLOOR_DBFS = -60;

/** Where a level lies between silence (0) and full scale (1). */
export function fractionOf(levelDbfs: number | null | undefined): number {
  if (typeof levelDbfs !== 'number' || !Number.isFinite(levelDbfs)) return 0;
  return Math.min(1, Math.max(0, 1 - levelDbfs / FLOOR_DBFS));
}

export const CHANNEL_NAMES = ['External', 'Internal'] as const;

interface MetersProps {
  readonly levelDbfs: readonly (number | null)[];
  readonly speech: readonly (boolean | null)[];
  readonly channels: number;
  readonly paused: boolean;
}

/** The levels of a call's channels as two small bars, for a row of the table. */
export function Meters({ levelDbfs, speech, channels, paused }: MetersProps) {
  const rows = Array.from({ length: channels }, (_, channel) => channel);
  const text = rows
    .map((channel) => `${CHANNEL_NAMES[channel]} ${decibels(levelDbfs[channel])}${speech[channel] ? ', speech' : ''}`)
    .join('; ');
  return (
    <span class={`meters${paused ? ' paused' : ''}`} role="img" aria-label={paused ? 'Paused' : text} title={text}>
      {rows.map((channel) => (
        <span key={channel} class={`meter channel-${channel}${speech[channel] ? ' speech' : ''}`}>
          <span style={{ transform: `scaleX(${paused ? 0 : fractionOf(levelDbfs[channel]).toFixed(3)})` }} />
        </span>
      ))}
    </span>
  );
}
