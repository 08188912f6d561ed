import type { GenesysStatus } from '../../../sources/genesys/genesys-subscription.js';
import { byName, counter, type Family, gauge, type Labels } from '../family.js';

type ConnectionState = GenesysStatus['connections'][number]['state'];
type Named = readonly [source: string, status: GenesysStatus];

const STATES: Readonly<Record<ConnectionState, 0>> = {
  idle: 0,
  authorizing: 0,
  dialing: 0,
  open: 0,
  waiting: 0,
  closing: 0,
  closed: 0,
};

export function isGenesys(status: object): status is GenesysStatus {
  return 'connections' in status && 'signIns' in status && 'counters' in status;
}

/** Subscriptions at Genesys Cloud: their connections, sign-ins and requests. */
export function genesysFamilies(sources: readonly Named[]): Family[] {
  const each = (value: (status: GenesysStatus) => number) =>
    sources.map(([source, status]) => [{ source }, value(status)] as const);
  const many = (values: (status: GenesysStatus) => Iterable<readonly [Labels, number]>) =>
    sources.flatMap(([source, status]) =>
      Array.from(values(status), ([labels, value]) => [{ source, ...labels }, value] as const),
    );
  return [
    gauge(
      'genesys_connections',
      'Media connections by state.',
      many((status) => byName('state', countStates(status))),
    ),
    gauge(
      'genesys_connection_streams',
      'Open streams on media connections.',
      each(({ connections }) => sum(connections.map(({ streams }) => streams))),
    ),
    gauge(
      'genesys_connection_attempts',
      'Attempts since media last came, of the media connection with the most.',
      each(({ connections }) => Math.max(0, ...connections.map(({ attempts }) => attempts))),
    ),
    gauge(
      'genesys_interactions',
      'Interactions that are subscribed to.',
      each(({ interactions }) => interactions),
    ),
    gauge(
      'genesys_interactions_paused',
      'Interactions whose audio is withheld.',
      each(({ paused }) => paused),
    ),
    counter(
      'genesys_messages',
      'Text messages on media connections, of any kind.',
      each(({ counters }) => counters.messages),
    ),
    counter(
      'genesys_control_errors',
      'Error messages of the media server.',
      each(({ counters }) => counters.controlErrors),
    ),
    counter(
      'genesys_reconnects',
      'Media connections that were opened again after they were lost.',
      each(({ counters }) => counters.reconnects),
    ),
    counter(
      'genesys_disconnects',
      'Media connections that were lost or closed, by the cause that their close code gives.',
      many(({ disconnects }) => byName('reason', disconnects)),
    ),
    counter(
      'genesys_sign_ins',
      'Sign-ins and renewals of the token, every attempt.',
      many(({ signIns }) => byName('result', signIns)),
    ),
    gauge(
      'genesys_token_age_seconds',
      'Time since the last sign-in.',
      sources.flatMap(([source, { tokenAgeMs }]) =>
        tokenAgeMs === undefined ? [] : [[{ source }, tokenAgeMs / 1e3] as const],
      ),
    ),
    counter(
      'genesys_rest_requests',
      'Requests to the REST API, sign-ins included.',
      each(({ requests }) => requests.taken),
    ),
    gauge(
      'genesys_rest_budget_requests',
      'Requests to the REST API that may be made at once.',
      each(({ requests }) => requests.left),
    ),
    gauge(
      'genesys_rest_budget_limit_requests',
      'The most requests that may be made at once.',
      each(({ requests }) => requests.most),
    ),
    gauge(
      'genesys_discovered_calls',
      'Calls of the queues and users that are followed.',
      withDiscovery(sources, ({ calls }) => calls),
    ),
    gauge('genesys_notification_channels', 'Notification channels of queues and users, by state.', channels(sources)),
  ];
}

function countStates({ connections }: GenesysStatus): Record<string, number> {
  const counts: Record<string, number> = { ...STATES };
  for (const { state } of connections) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** Refusals by reason, which are given together with those of all other parts. */
export function genesysRefusals({ counters }: GenesysStatus): Readonly<Record<string, number>> {
  const { messages: _, reconnects: __, ...refused } = counters;
  return refused;
}

const CHANNEL_STATES = ['connecting', 'open', 'waiting', 'closed'] as const;
type Discovery = NonNullable<GenesysStatus['discovery']>;

function withDiscovery(
  sources: readonly Named[],
  value: (discovery: Discovery) => number,
): (readonly [Labels, number])[] {
  return sources.flatMap(([source, { discovery }]) =>
    discovery === undefined ? [] : [[{ source }, value(discovery)] as const],
  );
}

function channels(sources: readonly Named[]): (readonly [Labels, number])[] {
  return sources.flatMap(([source, { discovery }]) => {
    if (discovery === undefined) return [];
    return CHANNEL_STATES.map((state) => {
      const count = discovery.channels.filter((channel) => channel.state === state).length;
      return [{ source, state }, count] as const;
    });
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
