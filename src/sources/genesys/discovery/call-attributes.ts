import { z } from 'zod';
import { type CallAttributes, isEmptyAttributes, readAttributes } from '../../../core/attributes/attributes.js';
import { bodyOf } from '../rest/conversations.js';

const text = z.string().optional().catch(undefined);
const named = z.object({ id: text, name: text }).optional().catch(undefined);
const leg = z.object({
  ...{ purpose: text, direction: text, state: text, ani: text, dnis: text, name: text, address: text },
  ...{ queueId: text, queueName: text, queue: named, userId: text, user: named },
});
const participant = leg.extend({ calls: z.array(leg.catch({})).nullish().catch(undefined) }).catch({});
const conversation = z.object({
  originatingDirection: text,
  divisions: z
    .array(z.object({ division: named }).catch({}))
    .optional()
    .catch(undefined),
  participants: z.array(participant).max(1_000),
});
type Participant = z.infer<typeof participant>;

const AGENTS = ['agent', 'user'];
const CALLERS = ['customer', 'external'];

/**
 * What notifications and conversation resources say of calls. They give queues and divisions by their ids; where REST has
 * said the name, that is taken. The last queue and the last agent of a call count, so that a transfer changes them.
 */
export class CallDescriptions {
  readonly #described: (interactionId: string, attributes: CallAttributes) => void;
  readonly #names = new Map<string, string>();

  /** @param described takes what is known of a call, each time that something is said of it. */
  constructor(described: (interactionId: string, attributes: CallAttributes) => void) {
    this.#described = described;
  }

  /** Remembers the name of a queue or a division. */
  learn(id: string, name: string): void {
    this.#names.set(id.toLowerCase(), name);
  }

  /** Takes a notification's body, a conversation resource, or the SDK's answer with one. */
  seen(interactionId: string, resource: unknown): void {
    const attributes = this.read(resource);
    if (!isEmptyAttributes(attributes)) this.#described(interactionId, attributes);
  }

  read(resource: unknown): CallAttributes {
    const read = conversation.safeParse(bodyOf(resource));
    if (!read.success) return {};
    const { participants, divisions, originatingDirection } = read.data;
    const agents = participants.filter(({ purpose }) => AGENTS.includes(purpose ?? ''));
    const callers = participants.filter(({ purpose }) => CALLERS.includes(purpose ?? ''));
    const division = divisions?.find((one) => one.division !== undefined)?.division;
    return readAttributes({
      queue: lastOf(participants, (one) =>
        this.#nameOf(one.queueName ?? one.queue?.name, one.queueId ?? one.queue?.id),
      ),
      user: lastOf(agents, (one) => one.userId ?? one.user?.id),
      // A leg to an agent may be outbound in a call that came in.
      direction: lastOf(callers, directionOf) ?? originatingDirection ?? lastOf(agents, directionOf),
      division: this.#nameOf(division?.name, division?.id),
      identities: {
        ani: lastOf(callers, (one) => one.ani ?? one.calls?.[0]?.ani ?? one.address),
        dnis: lastOf(callers, (one) => one.dnis ?? one.calls?.[0]?.dnis),
        name: lastOf(callers, (one) => one.name),
      },
    });
  }

  #nameOf(name: string | undefined, id: string | undefined): string | undefined {
    if (name !== undefined && id !== undefined) this.learn(id, name);
    return name ?? (id === undefined ? undefined : (this.#names.get(id.toLowerCase()) ?? id));
  }
}

function directionOf({ direction, calls }: Participant): string | undefined {
  return direction ?? calls?.find((call) => call.direction !== undefined)?.direction;
}

function lastOf<One>(list: readonly One[], value: (one: One) => string | undefined): string | undefined {
  return list.map(value).findLast((found) => found !== undefined);
}
