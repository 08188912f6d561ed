import type { AudioHookStatus } from '../../../sources/audiohook/audiohook.js';
import { byName, counter, type Family, gauge, histogram, type Labels } from '../family.js';

type Named = readonly [source: string, status: AudioHookStatus];
type Counters = AudioHookStatus['counters'];

/** Every reason, so that each has a series at 0 before it first occurs. */
const REJECTIONS: Readonly<Record<keyof Counters['rejected'], 0>> = {
  keyMissing: 0,
  keyUnknown: 0,
  headerDuplicated: 0,
  unsigned: 0,
  unexpectedSignature: 0,
  headerMalformed: 0,
  componentMissing: 0,
  componentUnsupported: 0,
  parameterMissing: 0,
  parameterInvalid: 0,
  keyidMismatch: 0,
  nonceShort: 0,
  created: 0,
  expired: 0,
  tooOld: 0,
  beforeStart: 0,
  signatureLength: 0,
  signatureMismatch: 0,
  replayed: 0,
  nonceCacheFull: 0,
  organizationNotAllowed: 0,
  tls: 0,
  path: 0,
  draining: 0,
  addressFailures: 0,
  handshakeRate: 0,
  identity: 0,
  sessionLimit: 0,
  organizationLimit: 0,
  sessionLive: 0,
};
const CONTINUATIONS: Readonly<Record<keyof Counters['continuationsRefused'], 0>> = {
  key: 0,
  call: 0,
  format: 0,
  ahead: 0,
};

export function isAudioHook(status: object): status is AudioHookStatus {
  return 'sessions' in status && 'draining' in status && 'counters' in status;
}

/** AudioHook servers: sessions, rejections, and what the sessions have counted. */
export function audioHookFamilies(sources: readonly Named[]): Family[] {
  const each = (value: (counters: Counters) => number) =>
    sources.map(([source, { counters }]) => [{ source }, value(counters)] as const);
  const many = (values: (counters: Counters) => Iterable<readonly [Labels, number]>) =>
    sources.flatMap(([source, { counters }]) =>
      Array.from(values(counters), ([labels, value]) => [{ source, ...labels }, value] as const),
    );
  return [
    gauge(
      'audiohook_sessions_live',
      'Live sessions.',
      each(({ sessionsLive }) => sessionsLive),
    ),
    gauge(
      'audiohook_streams_detached',
      'Streams that wait for a session to continue them.',
      each(({ streamsDetached }) => streamsDetached),
    ),
    gauge(
      'audiohook_draining',
      '1 while no new sessions are taken.',
      sources.map(([source, { draining }]) => [{ source }, Number(draining)] as const),
    ),
    counter(
      'audiohook_sessions',
      'Sessions by what has become of them; an ended one was connected and may have been opened.',
      many((counters) => [
        [{ state: 'connected' }, counters.sessionsConnected],
        [{ state: 'opened' }, counters.sessionsOpened],
        [{ state: 'ended' }, counters.sessionsEnded],
        [{ state: 'continued' }, counters.continued],
        [{ state: 'takenOver' }, counters.takenOver],
      ]),
    ),
    counter(
      'audiohook_probes',
      'Sessions that were connection probes.',
      each(({ probes }) => probes),
    ),
    histogram(
      'audiohook_opened_seconds',
      'From the acceptance of a request to the answer of its open message.',
      sources.map(([source, { counters }]) => [{ source }, counters.openedSeconds] as const),
    ),
    counter(
      'audiohook_rejections',
      'Requests that were refused.',
      many(({ rejected }) => byName('reason', { ...REJECTIONS, ...rejected })),
    ),
    counter(
      'audiohook_continuations_refused',
      'Sessions that were refused the stream that they named.',
      many(({ continuationsRefused }) => byName('reason', { ...CONTINUATIONS, ...continuationsRefused })),
    ),
    counter(
      'audiohook_slow_readers',
      'Sessions that were ended because the client did not read.',
      each(({ slowReaders }) => slowReaders),
    ),
    counter(
      'audiohook_throttled',
      'Times that a client was throttled because it sent too fast.',
      each(({ throttled }) => throttled),
    ),
    counter(
      'audiohook_stalls',
      'Times that a client was not read because a ring was full.',
      each(({ stalls }) => stalls),
    ),
    counter(
      'audiohook_samples_dropped',
      'Samples that came after the engine had ended their stream.',
      each(({ samplesDropped }) => samplesDropped),
    ),
    counter(
      'audiohook_internal_errors',
      'Sessions that an internal error has ended.',
      each(({ internalErrors }) => internalErrors),
    ),
    counter(
      'audiohook_nonce_file_errors',
      'Nonces that could not be written to the nonce file.',
      each(({ nonceFileErrors }) => nonceFileErrors),
    ),
    // The same counters for every session, and too many for a metric each.
    counter(
      'audiohook_session_events',
      'What all sessions have counted, by the name of the counter.',
      many(({ totals }) => byName('event', { ...totals })),
    ),
  ];
}

/** Reasons of refusals, which are counted together with those of all other parts. */
export const AUDIOHOOK_REASONS: readonly string[] = [
  ...['slowReaders', 'samplesDropped', 'internalErrors', 'nonceFileErrors'],
  ...['framesIgnored', 'samplesNotTaken', 'entitiesRefused', 'clientErrors', 'faults'],
];
