import { useEffect, useRef, useState } from 'preact/hooks';
import type { InteractionDetail } from '../../api/contract.js';
import { useStore } from '../../api/store.js';
import type { Listener } from '../../audio/listener.js';
import { Canvas, type Drawing } from '../../parts/canvas.js';
import { decibels } from '../../parts/format.js';
import { CHANNEL_NAMES, fractionOf } from '../../parts/meter.js';
import { colour } from '../../parts/theme.js';

interface Sample {
  readonly atMs: number;
  readonly levels: readonly number[];
  readonly speech: readonly boolean[];
  readonly paused: boolean;
}

const SHOWN_MS = 60_000;
const HEIGHT = 140;
const BAR = 4;
const SPACE = 1;

/**
 * The last minute of both channels, the newest at the right: external above the line, internal below it. While the page
 * plays the call, the levels are those of what is played.
 */
export function LevelStrip({ call, listener }: { call: InteractionDetail; listener: Listener }) {
  const channels = call.channels ?? 1;
  const samples = useRef<Sample[]>([]);
  const { report } = useStore(listener.state);
  const [nowMs, setNowMs] = useState(Date.now());

  const latest = useRef(call);
  latest.current = call;
  useEffect(() => {
    if (call.state === 'ended') return;
    const speech = call.speech.map((one) => one === true);
    samples.current.push({ atMs: Date.now(), levels: call.levelDbfs.map(fractionOf), speech, paused: call.paused });
    setNowMs(Date.now());
  }, [call]);
  useEffect(() => {
    if (report === undefined) return;
    const levels = report.peaks.map((peak) => fractionOf(20 * Math.log10(Math.max(peak, 1e-6))));
    const { speech, paused } = latest.current;
    samples.current.push({ atMs: Date.now(), levels, speech: speech.map((one) => one === true), paused });
    setNowMs(Date.now());
  }, [report]);
  useEffect(() => {
    const oldest = nowMs - SHOWN_MS;
    const first = samples.current.findIndex(({ atMs }) => atMs >= oldest);
    if (first > 0) samples.current.splice(0, first);
  }, [nowMs]);

  const rowsOfLegend = Array.from({ length: channels }, (_, channel) => channel);
  return (
    <div class="level-strip">
      <Canvas
        height={HEIGHT}
        label="Level of the last minute"
        draw={(drawing) => drawStrip(drawing, samples.current, nowMs, channels)}
      />
      <ul class="legend">
        {rowsOfLegend.map((channel) => (
          <li key={channel}>
            <span class={`key channel-${channel}`} />
            {CHANNEL_NAMES[channel]}
            <span class="muted level-now">{decibels(call.levelDbfs[channel])}</span>
            {call.speech[channel] === true && <span class="speaking">speech</span>}
          </li>
        ))}
        <li class="muted">last minute</li>
      </ul>
    </div>
  );
}

/** Each bar is the loudest of its stretch of time. */
function drawStrip(drawing: Drawing, samples: readonly Sample[], nowMs: number, channels: number): void {
  const { context, width, height } = drawing;
  const bars = Math.floor(width / (BAR + SPACE));
  const barMs = SHOWN_MS / bars;
  const newest = Math.floor(nowMs / barMs);
  const middle = channels === 2 ? height / 2 : height;
  context.fillStyle = colour('--chart-grid');
  context.fillRect(0, middle - 0.5, width, 1);
  const drawn = barsOf(samples, barMs);
  let held: Bar | undefined;
  for (let at = 0; at < bars; at++) {
    const slot = newest - bars + 1 + at;
    const exact = drawn.get(slot);
    // Polls are further apart than bars: the level stays until the next is known.
    held = exact ?? (held !== undefined && slot - held.slot <= HELD_BARS_MS / barMs ? held : undefined);
    if (held === undefined) continue;
    drawBar(drawing, at * (BAR + SPACE), held, channels);
  }
}

const HELD_BARS_MS = 1_200;

interface Bar extends Sample {
  readonly slot: number;
}

function barsOf(samples: readonly Sample[], barMs: number): Map<number, Bar> {
  const bars = new Map<number, Bar>();
  for (const sample of samples) {
    const slot = Math.floor(sample.atMs / barMs);
    const before = bars.get(slot);
    const levels = sample.levels.map((level, channel) => Math.max(level, before?.levels[channel] ?? 0));
    bars.set(slot, { ...sample, levels, slot });
  }
  return bars;
}

function drawBar({ context, height }: Drawing, x: number, bar: Bar, channels: number): void {
  const space = channels === 2 ? height / 2 - 1 : height - 1;
  if (bar.paused) {
    context.fillStyle = colour('--span-paused');
    context.fillRect(x, height / 2 - 6, BAR, 12);
    return;
  }
  for (let channel = 0; channel < channels; channel++) {
    const length = Math.max(1, (bar.levels[channel] ?? 0) * space);
    context.fillStyle = colour(bar.speech[channel] ? `--channel-${channel}` : `--channel-${channel}-soft`);
    context.fillRect(x, channel === 0 ? space - length : space + 2, BAR, length);
  }
}
