import { Buffer } from 'node:buffer';
import type { CallAttributes } from '../core/attributes/attributes.js';
import { readAttributes } from '../core/attributes/attributes.js';

/** Prefixes of the keys. A `.` separates the parts of a key. */
export const NODES = 'node.';
export const CALLS = 'call.';
export const PLACEMENTS = 'placement.';
export const REQUESTS = 'request.';
export const COMMANDS = 'command.';
export const LEADER = 'leader';

/**
 * `live`: takes calls. `draining`: gives its calls away. `left`: it has ended in order. `revoked`: it did not renew its
 * lease. After the last two the instance never writes again; a process that goes on takes a new instance.
 */
export type InstanceState = 'live' | 'draining' | 'left' | 'revoked';

/** The lease of one instance: one run of a node, with its own id. */
export interface NodeEntry {
  readonly instance: string;
  /** Name of the node. */
  readonly node: string;
  readonly state: InstanceState;
  /** Where its peers ask for consent, as host:port; empty: nowhere. */
  readonly address: string;
  /** What it can carry, in the unit of costs: one call in PCMU. */
  readonly capacity: number;
  /** What it carries that no placement has brought, such as AudioHook calls. */
  readonly otherCost: number;
  /** Rises with each renewal. */
  readonly renewal: number;
  /** Digest of the instances that it knows, whose consent it would ask for; empty: it asks for none yet. */
  readonly members: string;
  /** What its process is called on its machine, so that others on the same machine can see that it has ended; or empty. */
  readonly process: string;
}

/** Who may write a call. The revision of the entry is the fencing token. */
export interface ClaimEntry {
  readonly instance: string;
  readonly node: string;
  readonly interactionId: string;
}

/** The leader's decision that an instance captures a call, and what the instance answers. */
export interface PlacementEntry {
  readonly interactionId: string;
  readonly cost: number;
  readonly pausedBy: readonly ('operator' | 'platform')[];
  readonly attributes?: CallAttributes;
  /** The instance is taking the call over from another one: `ready` when its media comes. */
  readonly handOver?: 'wanted' | 'ready';
  /** The capture has ended by itself. */
  readonly ended?: { readonly final: boolean; readonly pausedBy: readonly ('operator' | 'platform')[] };
}

/** A call that was asked for by its id. */
export interface RequestEntry {
  readonly interactionId: string;
  readonly cost: number;
}

/** What an operator asks of the cluster. */
export interface CommandEntry {
  readonly command: 'drain' | 'resume' | 'rebalance';
  /** Name of the node; empty for `rebalance`. */
  readonly node: string;
}

const PLAIN = /^[A-Za-z0-9_-]{1,200}$/;

/** An id as a part of a key. */
export function keyPart(id: string): string {
  return PLAIN.test(id) ? id : `=${Buffer.from(id).toString('base64url')}`;
}

export const nodeKey = (instance: string): string => NODES + instance;
export const callKey = (interactionId: string): string => CALLS + keyPart(interactionId);
export const requestKey = (interactionId: string): string => REQUESTS + keyPart(interactionId);
export const placementKey = (instance: string, interactionId: string): string =>
  `${PLACEMENTS}${instance}.${keyPart(interactionId)}`;

/** The instance that a placement's key names. */
export function instanceOfPlacement(key: string): string {
  return key.slice(PLACEMENTS.length, key.indexOf('.', PLACEMENTS.length));
}

// Other nodes write these, perhaps in another version: what cannot be read is as if it were not there.

export function readNode(value: unknown): NodeEntry | undefined {
  if (!isRecord(value)) return undefined;
  const { instance, node, state, address, capacity, otherCost, renewal, members, process } = value;
  if (!isText(instance) || !isText(node) || typeof address !== 'string') return undefined;
  if (typeof members !== 'string' || typeof process !== 'string') return undefined;
  if (!isAmount(capacity) || !isAmount(otherCost) || !isAmount(renewal)) return undefined;
  if (state !== 'live' && state !== 'draining' && state !== 'left' && state !== 'revoked') return undefined;
  return { instance, node, state, address, capacity, otherCost, renewal, members, process };
}

export function readClaim(value: unknown): ClaimEntry | undefined {
  if (!isRecord(value)) return undefined;
  const { instance, node, interactionId } = value;
  return isText(instance) && isText(node) && isText(interactionId) ? { instance, node, interactionId } : undefined;
}

export function readPlacement(value: unknown): PlacementEntry | undefined {
  if (!isRecord(value)) return undefined;
  const { interactionId, cost, handOver, ended, attributes } = value;
  if (!isText(interactionId) || !isAmount(cost)) return undefined;
  return {
    interactionId,
    cost,
    pausedBy: pausedByOf(value['pausedBy']),
    ...(handOver === 'wanted' || handOver === 'ready' ? { handOver } : {}),
    ...(isRecord(ended) ? { ended: { final: ended['final'] === true, pausedBy: pausedByOf(ended['pausedBy']) } } : {}),
    ...(isRecord(attributes) ? { attributes: readAttributes(attributes) } : {}),
  };
}

export function readRequest(value: unknown): RequestEntry | undefined {
  if (!isRecord(value)) return undefined;
  const { interactionId, cost } = value;
  return isText(interactionId) && isAmount(cost) ? { interactionId, cost } : undefined;
}

export function readCommand(value: unknown): CommandEntry | undefined {
  if (!isRecord(value)) return undefined;
  const { command, node } = value;
  if (typeof node !== 'string') return undefined;
  return command === 'drain' || command === 'resume' || command === 'rebalance' ? { command, node } : undefined;
}

/** In doubt audio is withheld: who pauses is kept when it is one of the two, and nothing else pauses. */
function pausedByOf(value: unknown): ('operator' | 'platform')[] {
  if (!Array.isArray(value)) return [];
  return (['operator', 'platform'] as const).filter((by) => value.includes(by));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 512;
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
