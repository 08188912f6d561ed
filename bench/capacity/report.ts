import type { CapacityReport, LatencyCurves } from './capacity.js';
export function capacityPage(_r: CapacityReport, _c: readonly LatencyCurves[]): string {
  return '';
}
