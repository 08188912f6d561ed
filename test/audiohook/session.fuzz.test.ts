import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CLIENT_MESSAGE_TYPES } from '../../src/audiohook/wire.js';
import { MONO, NULL_ID, openParameters, Peer, STEREO } from './peer.js';

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
  | { do: 'say'; type: string; parameters: unknown; envelope: object }
  | { do: 'cut'; type: string; at: number }
  | { do: 'bytes'; bytes: Uint8Array }
  | { do: 'frame'; bytes: number }
  | { do: 'wait'; seconds: number }
  | { do: 'own'; command: number };

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
        do: fc.constant('say' as const),
        type: fc.constant(name),
        parameters: (Object.hasOwn(parameters, name) ? parameters[name] : fc.constant({})) as fc.Arbitrary<unknown>,
        envelope,
      }),
    ),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), type, at: fc.nat({ max: 200 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('bytes' as const), bytes: fc.uint8Array({ maxLength: 40 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('frame' as const),
      bytes: fc.constantFrom(0, 1, 2, 3, 160, 320, 321, 3200),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.constantFrom(0.1, 1, 6, 31) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('own' as const), command: fc.nat({ max: 5 }) }) },
);

function run(peer: Peer, what: Step): void {
  const { session } = peer;
  switch (what.do) {
    case 'say':
      peer.say(what.type, what.parameters as object, what.envelope);
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
    case 'frame':
      peer.frame(what.bytes);
      return;
    case 'wait':
      peer.advance(what.seconds);
      return;
    case 'own':
      if (what.command === 0) session.pause(peer.nowUs);
      else if (what.command === 1) session.resume(peer.nowUs);
      else if (what.command === 2) session.sendEvent([{ type: 'a', data: 1 }], peer.nowUs);
      else if (what.command === 3) session.requestReconnect(undefined, peer.nowUs);
      else if (what.command === 4) session.disconnect('completed', undefined, peer.nowUs);
      else session.finished(peer.nowUs);
  }
}

const ANSWERS: Record<string, string> = { pong: 'ping', updated: 'update', opened: 'open', closed: 'close' };

it('whatever a client does: no exception, one answer a request, every number in order, every sample in its place', () => {
  const opening: fc.Arbitrary<Step[]> = fc.constantFrom<Step[]>(
    [],
    [{ do: 'say', type: 'open', parameters: openParameters(), envelope: {} }],
    [
      { do: 'say', type: 'open', parameters: openParameters(), envelope: {} },
      { do: 'say', type: 'ping', parameters: {}, envelope: {} },
    ],
  );
  fc.assert(
    fc.property(
      opening,
      fc.array(step, { maxLength: 30 }),
      fc.boolean(),
      fc.boolean(),
      (start, steps, slowFinish, startPaused) => {
        const peer = new Peer({ slowFinish, accept: { startPaused } });
        const asked: Record<string, number> = { ping: 0, update: 0, open: 0, close: 0 };
        for (const what of [...start, ...steps]) {
          if (what.do === 'say' && what.type in asked) asked[what.type] = (asked[what.type] as number) + 1;
          run(peer, what);
        }
        peer.session.transportClosed();

        const sent = peer.sent;
        sent.forEach((message, i) => {
          expect(message.seq).toBe(i + 1);
          expect(message.version).toBe('2');
          expect(message.parameters).toBeTypeOf('object');
          if (message.type === 'event') expect(message.parameters.entities.length).toBeGreaterThan(0);
        });
        for (const [answer, request] of Object.entries(ANSWERS)) {
          expect(sent.filter((message) => message.type === answer).length).toBeLessThanOrEqual(
            asked[request] as number,
          );
        }
        for (const once of ['opened', 'closed', 'disconnect']) {
          expect(sent.filter((message) => message.type === once).length).toBeLessThanOrEqual(1);
        }
        const kinds = sent.map((message) => message.type);
        expect(peer.of('finish').length).toBeLessThanOrEqual(1);
        if (kinds.includes('closed')) expect(kinds.at(-1)).toBe('closed');
        const opened = kinds.indexOf('opened');
        const firstPong = kinds.indexOf('pong', opened);
        if (opened >= 0) {
          const early = kinds.slice(opened + 1, firstPong < 0 ? undefined : firstPong);
          for (const unsolicited of ['event', 'pause', 'resume', 'reconnect']) expect(early).not.toContain(unsolicited);
        }
        expectTimeLine(peer);
      },
    ),
    { numRuns: RUNS },
  );
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
  const { samplesKept, samplesPaused, resumedSamples, discardedSamples } = peer.session.counts;
  expect(peer.session.positionSamples).toBe(samplesKept + samplesPaused + resumedSamples + discardedSamples);
}
