import { isDeepStrictEqual } from 'node:util';
import { type PathParts, PathRig } from './path-rig.js';
import { type Script, type Step, stepText } from './steps.js';

/** All figures of both paths are compared every so many steps, and at the end; 1 compares them at every moment. */
const COMPARE_EVERY = Number(process.env['TRUNKLINE_PATH_COMPARE_EVERY'] ?? 400);
/** Runs of a script that may be spent on making it shorter. */
const MOST_SHRINKING_RUNS = 400;

/** Where two paths differ. */
export interface Difference {
  readonly atStep: number;
  readonly after: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

/** What scripts have exercised, by what it is called, so that a test can tell that they left nothing out. */
export type Exercise = Map<string, number>;

/** Runs a script on two paths; returns the first difference between them, or undefined. */
export async function difference(
  script: Script,
  reference: PathParts,
  other: PathParts,
  exercise: Exercise = new Map(),
): Promise<Difference | undefined> {
  const [first, second] = [new PathRig(script, reference), new PathRig(script, other)];
  const { steps } = script;
  const differ = (atStep: number, after: string, expected: unknown, actual: unknown) =>
    isDeepStrictEqual(actual, expected) ? undefined : { atStep, after, expected, actual };
  for (const [index, step] of steps.entries()) {
    const expected = await first.do(step);
    const found = differ(index, stepText(step), expected, await attempt(() => second.do(step)));
    if (found !== undefined) return found;
    if (index % COMPARE_EVERY !== 0) continue;
    const state = differ(index, `${stepText(step)}: state`, first.state(), second.state());
    if (state !== undefined) return state;
  }
  const rest = await first.finish();
  const found =
    differ(steps.length, 'the rest', rest, await attempt(() => second.finish())) ??
    differ(steps.length, 'the state at the end', first.state(), second.state());
  for (const [name, count] of second.exercised()) exercise.set(name, (exercise.get(name) ?? 0) + count);
  return found;
}

/** What the path throws is a difference as well. */
async function attempt(act: () => Promise<unknown>): Promise<unknown> {
  try {
    return await act();
  } catch (thrown) {
    return thrown;
  }
}

/** The shortest script that still shows a difference, as far as that is found by leaving out steps (delta debugging). */
export async function shrink(script: Script, reference: PathParts, other: PathParts): Promise<Script> {
  const found = await difference(script, reference, other);
  // What comes behind it cannot matter.
  let steps: readonly Step[] = script.steps.slice(0, (found?.atStep ?? script.steps.length) + 1);
  let runs = 0;
  const fails = async (candidate: readonly Step[]) => {
    runs++;
    return (await difference({ ...script, steps: candidate }, reference, other)) !== undefined;
  };
  for (let size = Math.ceil(steps.length / 2); size > 0 && runs < MOST_SHRINKING_RUNS; ) {
    let isShorter = false;
    for (let from = steps.length - size; from > -size && runs < MOST_SHRINKING_RUNS; from -= size) {
      const candidate = [...steps.slice(0, Math.max(0, from)), ...steps.slice(Math.max(0, from + size))];
      if (candidate.length < steps.length && (await fails(candidate))) {
        steps = candidate;
        isShorter = true;
      }
    }
    if (!isShorter || size > steps.length) size = Math.floor(size / 2);
  }
  return { ...script, steps };
}

/** Everything that is needed to see a failing script again. */
export async function report(script: Script, reference: PathParts, other: PathParts): Promise<string> {
  const shorter = await shrink(script, reference, other);
  const found = await difference(shorter, reference, other);
  const steps = shorter.steps.slice(0, (found?.atStep ?? 0) + 1);
  return [
    `seed ${script.seed}: ${script.title}`,
    `calls: ${JSON.stringify(script.calls)}`,
    `${steps.length} of ${script.steps.length} steps:`,
    ...steps.slice(-60).map((step, index) => `  ${Math.max(0, steps.length - 60) + index}. ${stepText(step)}`),
    `differs after ${found?.after}`,
    ...firstDifference(found?.expected, found?.actual, ''),
  ].join('\n');
}

/** The paths below two values where they differ, the first few of them. */
function firstDifference(expected: unknown, actual: unknown, path: string): string[] {
  if (isDeepStrictEqual(expected, actual)) return [];
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
  if (!isObject(expected) || !isObject(actual) || actual instanceof Error) {
    const shown = (value: unknown) => (value instanceof Error ? (value.stack ?? `${value}`) : JSON.stringify(value));
    return [`  ${path || 'the value'}`, `    expected ${shown(expected)}`, `    actual   ${shown(actual)}`];
  }
  const keys = [...new Set([...Object.keys(expected), ...Object.keys(actual)])];
  return keys.flatMap((key) => firstDifference(expected[key], actual[key], `${path}.${key}`)).slice(0, 30);
}
