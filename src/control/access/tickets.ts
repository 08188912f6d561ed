import { randomBytes } from 'node:crypto';
import { US_PER_SECOND } from '../../core/units.js';
import type { Principal } from './roles.js';

/** An `<audio>` element is opened within a moment of the ticket's request. */
export const TICKET_SECONDS = 30;
const LIFE_US = TICKET_SECONDS * US_PER_SECOND;
const MAX_TICKETS = 1_000;

interface Ticket {
  readonly principal: Principal;
  readonly scope: string;
  readonly untilUs: number;
}

/**
 * Tickets for requests that cannot carry a header, such as those of an `<audio>` element. A ticket stands in an address,
 * and so in logs and histories: it is good once, for half a minute, for one thing only.
 */
export class Tickets {
  readonly #tickets = new Map<string, Ticket>();

  /** @param scope What it is good for, such as the path of one interaction's audio. */
  issue(principal: Principal, scope: string, nowUs: number): string {
    for (const [id, { untilUs }] of this.#tickets) {
      if (untilUs >= nowUs && this.#tickets.size < MAX_TICKETS) break;
      this.#tickets.delete(id);
    }
    const id = randomBytes(24).toString('base64url');
    this.#tickets.set(id, { principal, scope, untilUs: nowUs + LIFE_US });
    return id;
  }

  /** The holder, once; undefined when there is no such ticket any more, or it is for something else. */
  redeem(id: string, scope: string, nowUs: number): Principal | undefined {
    const ticket = this.#tickets.get(id);
    this.#tickets.delete(id);
    return ticket !== undefined && ticket.scope === scope && nowUs <= ticket.untilUs ? ticket.principal : undefined;
  }
}
