/** Counts that a manifest has only when there is something to count. */
export function optionalCounts<Name extends string>(counts: Readonly<Record<Name, number | undefined>>) {
  const present = Object.entries(counts).filter(([, count]) => Number(count ?? 0) > 0);
  return Object.fromEntries(present) as Partial<Record<Name, number>>;
}
