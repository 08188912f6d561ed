import { z } from 'zod';
import { TrunklineError } from '../../core/errors.js';
import { LIMITS } from '../../core/limits.js';

const seconds = z.number().min(0).max(86_400);
const count = z.number().int().min(1).max(100_000);
const status = z.number().int().min(300).max(599);
const ids = z.array(z.string().min(1).max(LIMITS.maxNameBytes)).max(LIMITS.maxStreams);
/** When it strikes: after so long, and then again and again. */
const timing = { afterSeconds: seconds.default(0), everySeconds: seconds.min(0.05).optional() };

/** What can be made to go wrong, by `--fault` and by `POST /faults`. */
export const FAULT = z.discriminatedUnion('fault', [
  /** Tokens given from now on live so long. */
  z.strictObject({ fault: z.literal('tokenLife'), seconds: seconds.min(0.05), ...timing }),
  /** All tokens given so far are refused from now on. */
  z.strictObject({ fault: z.literal('tokensForgotten'), ...timing }),
  /** The next `count` REST requests are answered with this status. */
  z.strictObject({
    fault: z.literal('http'),
    status,
    endpoint: z.enum(['any', 'token', 'conversation', 'notification', 'analytics']).default('any'),
    count: count.default(1),
    retryAfterSeconds: seconds.optional(),
    ...timing,
  }),
  /** The next `count` media handshakes are answered with this status, or, without one, left without an answer. */
  z.strictObject({
    fault: z.literal('handshake'),
    status: status.optional(),
    count: count.default(1),
    retryAfterSeconds: seconds.optional(),
    ...timing,
  }),
  /** `count` media connections are told 401. */
  z.strictObject({ fault: z.literal('refuseToken'), count: count.default(1), ...timing }),
  /** `count` media connections end: by a TCP reset (1006), or by a close with this code. */
  z.strictObject({
    fault: z.literal('cut'),
    code: z.number().int().min(1000).max(4999).default(1006),
    count: count.default(1),
    ...timing,
  }),
  /** `count` media connections fall silent: no packets, no pong, no close. */
  z.strictObject({ fault: z.literal('halfOpen'), count: count.default(1), ...timing }),
  /** Subscriptions are answered with mediaNotAvailable: the next `count`, or all for so many seconds. */
  z.strictObject({
    fault: z.literal('mediaNotAvailable'),
    interactions: ids.optional(),
    count: count.optional(),
    seconds: seconds.optional(),
    ...timing,
  }),
  /** These calls, or `count` without a subscription, ended two minutes ago. */
  z.strictObject({
    fault: z.literal('expired'),
    interactions: ids.optional(),
    count: count.default(1),
    ...timing,
  }),
  /** Everything is torn down and comes back on the same port after so long. */
  z.strictObject({
    fault: z.literal('restart'),
    downSeconds: seconds.default(1),
    forgetTokens: z.boolean().default(false),
    ...timing,
  }),
  /** `count` live calls, or these, restart their sequence numbers and timestamps. */
  z.strictObject({
    fault: z.literal('sequenceRestart'),
    interactions: ids.optional(),
    count: count.default(1),
    ...timing,
  }),
  /** Every packet of `count` live calls, or of these, comes twice for so long. */
  z.strictObject({
    fault: z.literal('duplicateStreams'),
    interactions: ids.optional(),
    count: count.default(1),
    seconds: seconds.default(2),
    ...timing,
  }),
  /** Notifications are thrown away for so long; `cut`: and their connections are reset, and refused until then. */
  z.strictObject({
    fault: z.literal('notificationGap'),
    seconds: seconds.default(2),
    cut: z.boolean().default(true),
    ...timing,
  }),
  /** Everything that is to come or still lasts is called off. */
  z.strictObject({ fault: z.literal('clear'), ...timing }),
]);

export type Fault = z.output<typeof FAULT>;
export type FaultInput = z.input<typeof FAULT>;

const WORDS: Readonly<Record<string, boolean>> = { true: true, false: false };

/**
 * A fault as it stands on the command line: `cut:code=1012,count=3,everySeconds=10`. Lists are separated by `+`.
 * @throws TrunklineError CONFIG_INVALID
 */
export function parseFault(text: string): Fault {
  const [name = '', rest = ''] = text.split(/:(.*)/s);
  const fields = rest
    .split(',')
    .filter((field) => field !== '')
    .map((field) => {
      const [key = '', value = ''] = field.split(/=(.*)/s);
      if (key === 'interactions') return [key, value.split('+')];
      return [key, WORDS[value] ?? (value.trim() === '' || Number.isNaN(Number(value)) ? value : Number(value))];
    });
  const parsed = FAULT.safeParse({ ...Object.fromEntries(fields), fault: name });
  if (parsed.success) return parsed.data;
  const kind = FAULT.options.find(({ shape }) => shape.fault.value === name);
  if (kind === undefined) {
    const names = FAULT.options.map(({ shape }) => shape.fault.value);
    throw new TrunklineError('CONFIG_INVALID', `There is no fault "${name}"; there are ${names.join(', ')}.`);
  }
  const takes = Object.keys(kind.shape).filter((key) => key !== 'fault');
  throw new TrunklineError(
    'CONFIG_INVALID',
    `The fault ${text} cannot be: ${z.prettifyError(parsed.error)}\n${name} takes ${takes.join(', ') || 'nothing'}.`,
  );
}
