import type { Waveform } from '../../api/contract.js';
import { Canvas, type Drawing } from '../../parts/canvas.js';
import { colour } from '../../parts/theme.js';
import { drawPlayhead } from '../../parts/timeline.js';

interface WaveformViewProps {
  readonly waveform: Waveform | undefined;
  readonly channels: number;
  readonly atMs: number;
  readonly lengthMs: number;
  onSeek(ms: number): void;
}

const TRACK = 84;

/** The audio as a picture, one below the other; a click goes there. */
export function WaveformView({ waveform, channels, atMs, lengthMs, onSeek }: WaveformViewProps) {
  const draw = (drawing: Drawing) => {
    const { context, width } = drawing;
    for (let channel = 0; channel < channels; channel++) {
      const middle = channel * TRACK + TRACK / 2;
      context.fillStyle = colour('--chart-grid');
      context.fillRect(0, middle - 0.5, width, 1);
      const extremes = waveform?.channels[channel];
      if (extremes !== undefined) drawChannel(drawing, extremes, middle, channel, atMs / Math.max(1, lengthMs));
    }
    drawPlayhead(drawing, atMs / Math.max(1, lengthMs));
  };
  const seek = (event: MouseEvent & { currentTarget: HTMLElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    onSeek(((event.clientX - box.left) / Math.max(1, box.width)) * lengthMs);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: for the mouse alone; the slider below does the same.
    // biome-ignore lint/a11y/useKeyWithClickEvents: as above.
    <div class="waveform seekable" onClick={seek}>
      <Canvas
        height={channels * TRACK}
        draw={draw}
        label={waveform === undefined ? 'The waveform is on its way' : 'Waveform'}
      />
    </div>
  );
}

/** What has been played is darker. */
function drawChannel(
  { context, width }: Drawing,
  { min, max }: Waveform['channels'][number],
  middle: number,
  channel: number,
  played: number,
): void {
  const points = max.length;
  const half = TRACK / 2 - 4;
  // Telephone speech is quiet: the loudest sample fills its height, up to four times.
  const peak = Math.max(0.25, ...max.map(Math.abs), ...min.map(Math.abs));
  for (let x = 0; x < width; x++) {
    const from = Math.floor((x / width) * points);
    const to = Math.max(from + 1, Math.floor(((x + 1) / width) * points));
    let [low, high] = [0, 0];
    for (let at = from; at < to && at < points; at++) {
      low = Math.min(low, min[at] ?? 0);
      high = Math.max(high, max[at] ?? 0);
    }
    const top = middle - (high / peak) * half;
    context.fillStyle = colour(x / width < played ? `--channel-${channel}` : `--channel-${channel}-wave`);
    context.fillRect(x, top, 1, Math.max(1, ((high - low) / peak) * half));
  }
}
