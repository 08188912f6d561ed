/** What a name can be made of: `{date}/{queue}/{interactionId}` and the like. */
export interface NameValues {
  /** Start of the recording. */
  readonly startedAtMs: number;
  readonly interactionId: string;
  readonly queue?: string | undefined;
  readonly user?: string | undefined;
  readonly direction?: string | undefined;
  readonly division?: string | undefined;
}

const PLACEHOLDER = /\{([^{}]*)\}/g;
/** What is not known of a recording. */
const UNKNOWN = 'none';
const MAX_SEGMENT = 100;

/** The date and its parts are those of UTC. */
const VALUES: Readonly<Record<string, (values: NameValues) => string | undefined>> = {
  date: ({ startedAtMs }) => new Date(startedAtMs).toISOString().slice(0, 10),
  year: ({ startedAtMs }) => new Date(startedAtMs).toISOString().slice(0, 4),
  month: ({ startedAtMs }) => new Date(startedAtMs).toISOString().slice(5, 7),
  day: ({ startedAtMs }) => new Date(startedAtMs).toISOString().slice(8, 10),
  hour: ({ startedAtMs }) => new Date(startedAtMs).toISOString().slice(11, 13),
  interactionId: ({ interactionId }) => interactionId,
  queue: ({ queue }) => queue,
  user: ({ user }) => user,
  direction: ({ direction }) => direction,
  division: ({ division }) => division,
};

/** What is wrong with a template, as the end of a sentence; undefined when it is right. */
export function templateFault(template: string): string | undefined {
  const unknown = [...template.matchAll(PLACEHOLDER)].map(([, name = '']) => name).find((name) => !(name in VALUES));
  if (unknown !== undefined) {
    return `knows no {${unknown}}; there are ${Object.keys(VALUES)
      .map((name) => `{${name}}`)
      .join(', ')}`;
  }
  if (!template.includes('{interactionId}')) return 'must contain {interactionId}, which tells recordings apart';
  const segments = template.replace(PLACEHOLDER, 'x').split('/');
  const isName = (segment: string): boolean => /^[A-Za-z0-9][A-Za-z0-9_.=-]*$/.test(segment);
  return segments.every(isName) ? undefined : 'must be names of letters, digits, -, _, . and =, separated by /';
}

/**
 * The path of a recording. Values come from outside: what could leave the folder, hide a file or need to be quoted is
 * replaced.
 *
 * @example nameOf('{date}/{queue}/{interactionId}', { startedAtMs, interactionId: 'a-1' }) // 2026-11-29/none/a-1
 */
export function nameOf(template: string, values: NameValues): string {
  const path = template.replace(PLACEHOLDER, (_, name: string) => safe(VALUES[name]?.(values) ?? UNKNOWN));
  return path
    .split('/')
    .map((segment) => segment.replace(/^[^A-Za-z0-9]+/, '') || UNKNOWN)
    .join('/');
}

function safe(value: string): string {
  const kept = value.replace(/[^A-Za-z0-9_.=-]+/g, '_').slice(0, MAX_SEGMENT);
  return kept === '' ? UNKNOWN : kept;
}
