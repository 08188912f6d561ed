import { useState } from 'preact/hooks';
import type { SilenceKind, Span, SpanState } from '../api/contract.js';
import { Canvas, type Drawing } from './canvas.js';
import { duration, percent } from './format.js';
import { CHANNEL_NAMES } from './meter.js';
import { colour } from './theme.js';

interface TimelineProps {
  readonly spans: readonly Span[];
  readonly channels: number;
  readonly startMs: number;
  readonly endMs: number;
  /** Where a playback is. */
  readonly atMs?: number | undefined;
  onSeek?(ms: number): void;
}

const TRACK = 20;
const GAP = 4;
const AXIS = 18;

export const SPAN_WORDS: Readonly<Record<SpanState, string>> = {
  speech: 'Speech',
  silence: 'Silence',
  lost: 'Lost',
  paused: 'Paused',
  discarded: 'Discarded',
};

const KIND_WORDS: Readonly<Record<SilenceKind, string>> = {
  digital: 'digital silence',
  comfortNoise: 'silence that is not sent',
};

function spanWords({ state, kind }: Span): string {
  return kind === undefined ? SPAN_WORDS[state].toLowerCase() : KIND_WORDS[kind];
}

/** The spans of each channel on a line of time. */
export function Timeline({ spans, channels, startMs, endMs, atMs, onSeek }: TimelineProps) {
  const [pointed, setPointed] = useState<string | undefined>();
  const height = channels * (TRACK + GAP) + AXIS;
  const length = Math.max(1, endMs - startMs);
  const timeOf = (event: MouseEvent & { currentTarget: HTMLElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    return startMs + ((event.clientX - box.left) / Math.max(1, box.width)) * length;
  };
  const point = (event: MouseEvent & { currentTarget: HTMLElement }) => {
    const ms = timeOf(event);
    const channel = Math.floor((event.clientY - event.currentTarget.getBoundingClientRect().top) / (TRACK + GAP));
    const span = spans.find((one) => one.channel === channel && one.startMs <= ms && (one.endMs ?? endMs) > ms);
    const state = span === undefined ? '' : `, ${CHANNEL_NAMES[channel]}: ${spanWords(span)}`;
    setPointed(`${duration(ms / 1000)}${state}`);
  };
  const draw = (drawing: Drawing) => {
    drawSpans(drawing, { spans, channels, startMs, endMs });
    drawAxis(drawing, startMs, endMs);
    if (atMs !== undefined) drawPlayhead(drawing, (atMs - startMs) / length);
  };
  return (
    <div class="timeline">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: for the mouse alone; the text below says the same, and a slider seeks. */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: as above. */}
      <div
        class={onSeek === undefined ? '' : 'seekable'}
        onMouseMove={point}
        onMouseLeave={() => setPointed(undefined)}
        onClick={(event) => onSeek?.(timeOf(event))}
      >
        <Canvas
          height={height}
          draw={draw}
          label={`Spans of ${channels === 1 ? 'one channel' : 'two channels'} over time`}
        />
      </div>
      <Totals spans={spans} channels={channels} endMs={endMs} pointed={pointed} />
    </div>
  );
}

const STATES = ['speech', 'silence', 'lost', 'paused', 'discarded'] as const;

interface TotalsProps extends Pick<TimelineProps, 'spans' | 'channels' | 'endMs'> {
  readonly pointed: string | undefined;
}

/** The legend, which also says how much there is of each state. */
function Totals({ spans, channels, endMs, pointed }: TotalsProps) {
  const total = (channel: number, state?: SpanState) =>
    spans
      .filter((span) => span.channel === channel && (state === undefined || span.state === state))
      .reduce((sum, span) => sum + (span.endMs ?? endMs) - span.startMs, 0);
  return (
    <div class="timeline-foot">
      <ul class="legend">
        {STATES.map((state) => {
          const shares = Array.from({ length: channels }, (_, channel) =>
            percent(total(channel, state) / Math.max(1, total(channel)), 0),
          );
          return (
            <li key={state}>
              <span class={`key ${state === 'speech' && channels === 1 ? 'channel-0' : `span-${state}`}`} />
              {SPAN_WORDS[state]} <span class="muted">{shares.join(' · ')}</span>
            </li>
          );
        })}
      </ul>
      <span class="pointed" aria-hidden="true">
        {pointed}
      </span>
    </div>
  );
}

/** Speech has its channel's colour. */
function colourOf(state: SpanState, channel: number): string {
  if (state === 'speech') return colour(`--channel-${channel}`);
  return colour(`--span-${state}`);
}

function drawSpans({ context, width }: Drawing, { spans, channels, startMs, endMs }: TimelineProps): void {
  const scale = width / Math.max(1, endMs - startMs);
  for (let channel = 0; channel < channels; channel++) {
    context.fillStyle = colour('--track');
    context.fillRect(0, channel * (TRACK + GAP), width, TRACK);
  }
  for (const span of spans) {
    const end = Math.min(span.endMs ?? endMs, endMs);
    if (span.channel >= channels || end <= startMs) continue;
    const from = Math.max(0, (span.startMs - startMs) * scale);
    const inset = span.state === 'silence' ? TRACK / 2 - 2 : 0;
    context.fillStyle = colourOf(span.state, span.channel);
    // What was lost is seen even when it is shorter than a pixel.
    const least = span.state === 'lost' ? 2 : 0.5;
    context.fillRect(
      from,
      span.channel * (TRACK + GAP) + inset,
      Math.max(least, (end - startMs) * scale - from),
      TRACK - 2 * inset,
    );
  }
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

function drawAxis({ context, width, height }: Drawing, startMs: number, endMs: number): void {
  const seconds = Math.max(0.001, (endMs - startMs) / 1000);
  const step = STEPS_S.find((one) => (one / seconds) * width >= 58) ?? 14_400;
  context.fillStyle = colour('--text-muted');
  context.strokeStyle = colour('--chart-grid');
  context.font = '11px "Inter Variable", system-ui, sans-serif';
  context.textBaseline = 'bottom';
  for (let at = Math.ceil(startMs / 1000 / step) * step; at * 1000 <= endMs; at += step) {
    const x = ((at * 1000 - startMs) / 1000 / seconds) * width;
    context.fillRect(Math.min(x, width - 1), height - AXIS, 1, 4);
    const text = duration(at);
    const half = context.measureText(text).width / 2;
    context.fillText(text, Math.min(Math.max(0, x - half), width - 2 * half), height);
  }
}

export function drawPlayhead({ context, width, height }: Drawing, fraction: number): void {
  const x = Math.min(width - 1, Math.max(0, fraction * width));
  context.fillStyle = colour('--playhead');
  context.fillRect(x - 0.75, 0, 1.5, height);
}
