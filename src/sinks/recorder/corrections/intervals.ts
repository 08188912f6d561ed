/**
 * Sorted lists of intervals that do not touch: start and end of one after another. Most changes are near the end.
 */
export type Intervals = number[];

/** Adds an interval, joining those that touch. */
export function addInterval(list: Intervals, start: number, end: number): void {
  if (end <= start) return;
  let first = list.length;
  while (first > 0 && (list[first - 1] as number) >= start) first -= 2;
  let next = first;
  while (next < list.length && (list[next] as number) <= end) next += 2;
  const from = next > first ? Math.min(start, list[first] as number) : start;
  const to = next > first ? Math.max(end, list[next - 1] as number) : end;
  list.splice(first, next - first, from, to);
}

/** Takes a range out of all intervals. */
export function cutInterval(list: Intervals, start: number, end: number): void {
  if (end <= start) return;
  let first = list.length;
  while (first > 0 && (list[first - 1] as number) > start) first -= 2;
  let next = first;
  while (next < list.length && (list[next] as number) < end) next += 2;
  if (next === first) return;
  const from = list[first] as number;
  const to = list[next - 1] as number;
  list.splice(first, next - first, ...(from < start ? [from, start] : []), ...(to > end ? [end, to] : []));
}

/** Adds the parts of `list` that lie in a range to `into`. */
export function addOverlap(list: Intervals, start: number, end: number, into: Intervals): void {
  for (let at = list.length - 2; at >= 0 && (list[at + 1] as number) > start; at -= 2) {
    addInterval(into, Math.max(start, list[at] as number), Math.min(end, list[at + 1] as number));
  }
}

/** Whether a position lies in one of the intervals; positions must be asked for in rising order. */
export function membership(intervals: readonly number[]): (position: number) => boolean {
  let next = 0;
  return (position) => {
    while (next < intervals.length && (intervals[next + 1] as number) <= position) next += 2;
    return next < intervals.length && (intervals[next] as number) <= position;
  };
}
