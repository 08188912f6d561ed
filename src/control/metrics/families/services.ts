import { byName, counter, type Family, gauge } from '../family.js';
import { archiveFamilies, isArchive } from './archive.js';
import { isWebhooks, webhookFamilies } from './webhooks.js';

/** What the control server counts; see ControlStats. */
interface ControlCounts {
  readonly connections: number;
  readonly webSockets: number;
  readonly requests: number;
  readonly eventClients: number;
  readonly listeners: number;
  readonly refused: Readonly<Record<string, number>>;
}

function isControl(stats: object): stats is ControlCounts {
  return 'webSockets' in stats && 'requests' in stats && 'refused' in stats;
}

/** The control server, webhooks, and the numbers of all other services. */
export function serviceFamilies(services: Readonly<Record<string, object>>): Family[] {
  const all = Object.entries(services);
  const controls = all.flatMap(([service, stats]) => (isControl(stats) ? [[service, stats] as const] : []));
  const each = (value: (stats: ControlCounts) => number) =>
    controls.map(([service, stats]) => [{ service }, value(stats)] as const);
  const refused = controls.flatMap(([service, stats]) =>
    byName('reason', stats.refused).map(([labels, count]) => [{ service, ...labels }, count] as const),
  );
  const hooks = all.flatMap(([service, stats]) => (isWebhooks(stats) ? [[service, stats] as const] : []));
  const archives = all.flatMap(([service, stats]) => (isArchive(stats) ? [[service, stats] as const] : []));
  const others = all.filter(([, stats]) => !isControl(stats) && !isWebhooks(stats) && !isArchive(stats));
  return [
    gauge(
      'control_connections',
      'Open connections of the control server.',
      each(({ connections }) => connections),
    ),
    gauge(
      'control_web_sockets',
      'Open WebSockets of the control server.',
      each(({ webSockets }) => webSockets),
    ),
    counter(
      'control_requests',
      'Requests to the control server.',
      each(({ requests }) => requests),
    ),
    gauge(
      'control_event_clients',
      'Clients that follow the events.',
      each(({ eventClients }) => eventClients),
    ),
    gauge(
      'control_listeners',
      'Clients that listen to live audio.',
      each(({ listeners }) => listeners),
    ),
    counter('control_refused', 'Requests and connections that the control server refused or cut off.', refused),
    ...webhookFamilies(hooks),
    ...archiveFamilies(archives),
    gauge(
      'service_value',
      'Counters and other values of all other services.',
      others.flatMap(([service, stats]) =>
        numbersIn(stats).map(([name, value]) => [{ service, name }, value] as const),
      ),
    ),
  ];
}

/** The numbers of an object by their path, such as `deliveries.waiting`. */
function numbersIn(value: object, path = ''): (readonly [path: string, value: number])[] {
  return Object.entries(value).flatMap(([key, one]: [string, unknown]) => {
    if (typeof one === 'number') return [[`${path}${key}`, one] as const];
    return typeof one === 'object' && one !== null ? numbersIn(one, `${path}${key}.`) : [];
  });
}
