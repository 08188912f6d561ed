import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CLIENT_MESSAGE_TYPES } from '../../../../src/sources/audiohook/protocol/wire.js';
import { SESSION_TIMING } from '../../../../src/sources/audiohook/session/session-contract.js';
import { MONO, NULL_ID, ORGANIZATION_ID, openParameters, Peer, STEREO } from '../../../support/audiohook/peer.js';

const duration = fc.oneof(
  fc.constantFrom('PT0S', 'PT0.02S', 'PT12.34S', 'PT3599S', 'PT1e9S', 'PT999999999999S', '', 'P1D'),
  fc.nat({ max: 100 }).map((n) => `PT${n / 8}S`),
);
const junk = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(undefined, null, 1e300, -1, 2 ** 53, NULL_ID, '', [], {}),
);
const media = fc.oneof(
  fc.constantFrom<unknown>([STEREO], [STEREO, MONO], [], [{ ...MONO, format: 'L16' }], [{ ...STEREO, format: 'L16' }]),
  junk,
);

const parameters: Record<string, fc.Arbitrary<unknown>> = {
  open: fc.oneof(
    fc.constant(openParameters()),
    media.map((m) => openParameters({ media: m })),
    fc.constant(openParameters({ conversationId: NULL_ID, participant: { id: NULL_ID } })),
    fc.record({ organizationId: junk, conversationId: junk, participant: junk, media: junk, continuedSessions: junk }),
  ),
  resumed: fc.record({ start: duration, discarded: duration }),
  discarded: fc.record({ start: duration, discarded: duration }),
  ping: fc.oneof(fc.constant({}), fc.record({ rtt: duration })),
  update: fc.record({ language: fc.oneof(fc.constant('en-us'), junk) }),
  error: fc.record({ code: fc.constantFrom<unknown>(400, 429, 'x', 1e300), message: junk, retryAfter: duration }),
  close: fc.record({ reason: fc.oneof(fc.constantFrom('end', 'error', 'disconnect', 'reconnect'), junk) }),
};

// The seed of a failure is in its message.
const RUNS = Number(process.env['TRUNKLINE_FUZZ_RUNS'] ?? 2000);

type Step =
  | { do: 'sendMessage'; type: string; parameters: unknown; envelope: object }
  | { do: 'cut'; type: string; at: number }
  | { do: 'bytes'; bytes: Uint8Array }
  | { do: 'huge'; bytes: number }
  | { do: 'frame'; bytes: number }
  | { do: 'wait'; seconds: number }
  | { do: 'own'; command: number; times: number };

const type = fc.constantFrom(...CLIENT_MESSAGE_TYPES, 'telepathy', '__proto__', 'toString');
// Mostly proper, or nothing would get beyond the first message.
const envelope = fc.oneof(
  { weight: 30, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom('version', 'id', 'type', 'seq', 'serverseq', 'position', 'parameters', 'other', '__proto__'),
      junk,
      { maxKeys: 2 },
    ),
  },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: type.chain((name) =>
      fc.record({
        do: fc.constant('sendMessage' as const),
        type: fc.constant(name),
        parameters: (Object.hasOwn(parameters, name) ? parameters[name] : fc.constant({})) as fc.Arbitrary<unknown>,
        envelope,
      }),
    ),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), type, at: fc.nat({ max: 200 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('bytes' as const), bytes: fc.uint8Array({ maxLength: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('huge' as const), bytes: fc.constantFrom(65_537, 300_000) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('frame' as const),
      bytes: fc.constantFrom(0, 1, 2, 3, 160, 320, 321, 3200),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(0.1, 1, 6, 31) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('own' as const),
      command: fc.nat({ max: 5 }),
      times: fc.constantFrom(1, 1, 9),
    }),
  },
);

function run(peer: Peer, what: Step): void {
  switch (what.do) {
    case 'sendMessage':
      peer.sendMessage(what.type, what.parameters as object, what.envelope);
      return;
    case 'cut':
      peer.raw(
        JSON.stringify({ version: '2', type: what.type, id: NULL_ID, seq: peer.seq + 1, parameters: {} }).slice(
          0,
          what.at,
        ),
      );
      return;
    case 'bytes':
      peer.raw(what.bytes);
      return;
    case 'huge':
      peer.raw(Buffer.alloc(what.bytes, ' '));
      return;
    case 'frame':
      peer.frame(what.bytes);
      return;
    case 'wait':
      peer.advance(what.seconds);
      return;
    case 'own':
      for (let i = 0; i < what.times; i++) command(peer, what.command);
  }
}

function command(peer: Peer, number: number): void {
  const { session, nowUs } = peer;
  if (number === 0) session.pause(nowUs);
  else if (number === 1) session.resume(nowUs);
  else if (number === 2) session.sendEvent([{ type: 'a', data: 1 }], nowUs);
  else if (number === 3) session.requestReconnect(undefined, nowUs);
  else if (number === 4) session.disconnect('completed', undefined, nowUs);
  else session.finished(nowUs);
}

const ANSWER: Readonly<Record<string, string>> = { ping: 'pong', update: 'updated', open: 'opened', close: 'closed' };
const UNASKED = ['event', 'pause', 'resume', 'reconnect', 'disconnect'];

/** Whether nothing is wrong with a message in itself. */
function isProper(what: Step): boolean {
  if (what.do !== 'sendMessage' || Object.keys(what.envelope).length > 0) return false;
  const { organizationId, media, language, start, discarded } = what.parameters as Record<string, unknown>;
  switch (what.type) {
    case 'open':
      return organizationId === ORGANIZATION_ID && Array.isArray(media);
    case 'update':
      return typeof language === 'string' && language.length <= 1024;
    case 'resumed':
    case 'discarded':
      return [start, discarded].every((text) => /^PT\d+(\.\d+)?S$/.test(String(text)));
    default:
      return true;
  }
}

/** Watches a session from outside, and knows of its inside only what the protocol says. */
class Witness extends Peer {
  /** When each message came. */
  readonly sentUs: number[] = [];
  readonly #slowFinish: boolean;
  readonly #startPaused: boolean;
  #clientPaused = false;
  #ownPause = false;

  constructor(slowFinish: boolean, startPaused: boolean) {
    super({ slowFinish, accept: { startPaused } });
    this.#slowFinish = slowFinish;
    this.#startPaused = startPaused;
  }

  override send(text: string): void {
    this.sentUs.push(this.nowUs);
    super.send(text);
  }

  /** Takes one step: whatever has to be answered is, once, in the same turn and by its number, and nothing else. */
  step(what: Step): void {
    const from = this.outputs.length;
    const due = what.do === 'sendMessage' && isProper(what) ? this.#dueAnswer(what.type) : undefined;
    const live = this.#isLive();
    run(this, what);
    const now = this.outputs.slice(from);
    const sent = now.flatMap((output) => (output.kind === 'send' ? [output.message] : []));
    const answers = sent.filter(({ type }) => !UNASKED.includes(type));
    if (isProper(what)) {
      expect(answers.map(({ type, clientseq }) => [type, clientseq])).toEqual(
        due === undefined ? [] : [[due, this.seq]],
      );
      if (due !== undefined) expect(sent[0]?.type).toBe(due);
    } else if (what.do === 'sendMessage') {
      // A field too many does no harm, so there may be an answer; never two.
      expect(answers.length).toBeLessThanOrEqual(1);
    } else {
      // Only a stream that took its time may be answered for later.
      expect(answers.every(({ type }) => type === 'closed' && this.#slowFinish)).toBe(true);
    }
    this.#notePauses(what, live, due);
    if (this.#clientPaused || this.#ownPause) expect(now.filter(({ kind }) => kind === 'audio')).toEqual([]);
  }

  #isLive(): boolean {
    // A client whose pings are missing is asked to close, and served until it does.
    const broken = this.of('faulted').some(({ fault }) => fault !== 'timeout');
    return this.#has('opened') && !broken && this.of('finish').length === 0;
  }

  #dueAnswer(type: string): string | undefined {
    const untouched = this.of('faulted').length === 0 && this.of('finish').length === 0 && !this.#has('opened');
    const isDue: Record<string, boolean> = {
      ping: !this.#has('closed'),
      update: this.#isLive(),
      open: untouched,
      close: this.of('finish').length === 0 && !this.#slowFinish,
    };
    return isDue[type] === true ? ANSWER[type] : undefined;
  }

  #notePauses(what: Step, wasLive: boolean, due: string | undefined): void {
    if (what.do === 'own' && what.command < 2) this.#ownPause = what.command === 0;
    if (due === 'opened' && this.#startPaused) this.#ownPause = true;
    if (what.do !== 'sendMessage') return;
    if (wasLive && what.type === 'paused' && isProper(what)) this.#clientPaused = true;
    if (what.type === 'resumed') this.#clientPaused = false;
  }

  #has(type: string): boolean {
    return this.outputs.some((output) => output.kind === 'send' && output.message.type === type);
  }

  /** What must be so of everything that was said, however it came to be. */
  expectOrder(): void {
    const { sent } = this;
    const kinds = sent.map(({ type }) => type);
    sent.forEach((message, i) => {
      expect(message.seq).toBe(i + 1);
      expect(message.version).toBe('2');
      expect(message.parameters).toBeTypeOf('object');
      if (message.type === 'event') expect(message.parameters.entities.length).toBeGreaterThan(0);
    });
    for (const once of ['opened', 'closed', 'disconnect']) {
      expect(kinds.filter((type) => type === once).length).toBeLessThanOrEqual(1);
    }
    expect(this.of('finish').length).toBeLessThanOrEqual(1);
    const [opened, closed, told] = ['opened', 'closed', 'disconnect'].map((type) => kinds.indexOf(type)) as [
      number,
      number,
      number,
    ];
    if (closed >= 0) expect(closed).toBe(kinds.length - 1);
    // Before `opened` there are answers and the end, and after the end no `opened`.
    for (const type of kinds.slice(0, opened < 0 ? undefined : opened)) {
      expect(opened < 0 ? ['pong', 'disconnect', 'closed'] : ['pong']).toContain(type);
    }
    const faulted = this.of('faulted').length > 0;
    if (told >= 0) for (const type of kinds.slice(told + 1)) expect(['pong', 'updated', 'closed']).toContain(type);
    if (told >= 0 && sent[told]?.parameters.reason === 'error') expect(faulted).toBe(true);
    this.#expectUnasked(opened, faulted);
  }

  #expectUnasked(opened: number, faulted: boolean): void {
    const kinds = this.sent.map(({ type }) => type);
    const firstPong = kinds.indexOf('pong', opened);
    if (opened >= 0) {
      for (const type of kinds.slice(opened + 1, firstPong < 0 ? undefined : firstPong)) {
        // A client that broke the rules is told at once; it asked for it.
        if (UNASKED.includes(type)) expect([type, faulted]).toEqual(['disconnect', true]);
      }
    }
    const unaskedUs = this.sentUs.filter((_, i) => ['event', 'pause', 'resume', 'reconnect'].includes(kinds[i] ?? ''));
    const { messageBurst, messagesPerSecond } = SESSION_TIMING;
    unaskedUs.forEach((fromUs, i) => {
      unaskedUs.slice(i).forEach((toUs, more) => {
        expect(more + 1).toBeLessThanOrEqual(messageBurst + (messagesPerSecond * (toUs - fromUs)) / 1e6 + 1e-6);
      });
    });
  }
}

const proper = (type: string, parameters: object): Step => ({ do: 'sendMessage', type, parameters, envelope: {} });
const opening: fc.Arbitrary<Step[]> = fc.constantFrom<Step[]>(
  [],
  [proper('open', openParameters())],
  [proper('open', openParameters()), proper('ping', {})],
);

it('whatever a client does: no exception, one answer a request, every number in order, every sample in its place', () => {
  fc.assert(
    fc.property(
      opening,
      fc.array(step, { maxLength: 30 }),
      fc.boolean(),
      fc.boolean(),
      (start, steps, slowFinish, startPaused) => {
        const witness = new Witness(slowFinish, startPaused);
        for (const what of [...start, ...steps]) witness.step(what);
        witness.session.transportClosed(witness.nowUs);
        witness.expectOrder();
        expectTimeLine(witness);
      },
    ),
    { numRuns: RUNS },
  );
});

it('property: masked frames that are taken whole come to the same as those that come by ws', () => {
  let whole = 0;
  fc.assert(
    fc.property(opening, fc.array(step, { maxLength: 30 }), fc.boolean(), (start, steps, startPaused) => {
      const [masked, plain] = [false, true].map((byWs) => {
        const peer = new Peer({ byWs, accept: { startPaused } });
        for (const what of [...start, ...steps]) run(peer, what);
        peer.session.transportClosed(peer.nowUs);
        return peer;
      }) as [Peer, Peer];
      expect(masked.outputs).toEqual(plain.outputs);
      expect(masked.session.counts).toEqual(plain.session.counts);
      whole += masked.whole;
    }),
    { numRuns: RUNS / 4, seed: 21 },
  );
  expect(whole).toBeGreaterThan(0);
});

// Kept audio and marked stretches follow each other without overlap up to the session's position.
function expectTimeLine(peer: Peer): void {
  let at = 0;
  for (const output of peer.outputs) {
    if (output.kind !== 'mark' && output.kind !== 'audio') continue;
    expect(output.at).toBeGreaterThanOrEqual(at);
    at = output.at;
    if (output.kind === 'mark') {
      expect(output.length).toBeGreaterThan(0);
      at += output.length;
    }
  }
  const { samplesKept, samplesPaused, pausedUnsentSamples, discardedSamples } = peer.session.counts;
  expect(peer.session.positionSamples).toBe(samplesKept + samplesPaused + pausedUnsentSamples + discardedSamples);
}
