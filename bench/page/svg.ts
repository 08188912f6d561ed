import { plot as drawPlot, type PlotOptions } from '@observablehq/plot';
import { parseHTML } from 'linkedom';

/** An SVG, as text. Plot draws into a document, and there is none here but linkedom's. */
export function svg(options: PlotOptions): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const figure = drawPlot({ ...options, document, style: { background: 'none', fontSize: '13px' } });
  return String((figure as unknown as { readonly outerHTML: string }).outerHTML);
}
