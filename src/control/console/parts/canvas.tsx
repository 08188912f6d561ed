import { useEffect, useRef } from 'preact/hooks';
import { useStore } from '../api/store.js';
import { scheme } from './theme.js';

export interface Drawing {
  readonly context: CanvasRenderingContext2D;
  /** In CSS pixels. */
  readonly width: number;
  readonly height: number;
}

interface CanvasProps {
  readonly height: number;
  readonly label: string;
  readonly class?: string;
  draw(drawing: Drawing): void;
}

/** A canvas as wide as its place, sharp on every screen, drawn again on each rendering, resize and change of theme. */
export function Canvas({ height, label, class: more = '', draw }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(draw);
  latest.current = draw;
  useStore(scheme);

  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const resized = new ResizeObserver(() => paint(element, latest.current));
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current !== null) paint(canvas.current, draw);
  });

  return (
    <canvas ref={canvas} class={`canvas ${more}`} role="img" aria-label={label} style={{ height: `${height}px` }} />
  );
}

function paint(element: HTMLCanvasElement, draw: (drawing: Drawing) => void): void {
  const { clientWidth: width, clientHeight: height } = element;
  const scale = window.devicePixelRatio;
  const [pixelWidth, pixelHeight] = [Math.round(width * scale), Math.round(height * scale)];
  if (element.width !== pixelWidth) element.width = pixelWidth;
  if (element.height !== pixelHeight) element.height = pixelHeight;
  const context = element.getContext('2d');
  if (context === null || width === 0) return;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  draw({ context, width, height });
}
