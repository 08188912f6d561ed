import { z } from 'zod';
import { attributesSchema } from './attributes-schema.js';

export const INTERACTION_STATES = ['speech', 'silence', 'paused', 'interrupted', 'subscribing', 'ended'] as const;
export type InteractionState = (typeof INTERACTION_STATES)[number];

/** One value for each channel; null for the second of an interaction that has one. */
const perChannel = <Value extends z.ZodType>(value: Value) => z.tuple([value, value.nullable()]);

export const interactionSchema = z
  .object({
    id: z.string(),
    source: z.string().nullable().describe('Name of the source; null when an embedder pushes the packets.'),
    codec: z.string().nullable().describe('Null, like all of the format, before the first packet.'),
    sampleRate: z.number().nullable(),
    channels: z.number().nullable(),
    state: z.enum(INTERACTION_STATES),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
    endReason: z.string().nullable(),
    ageSeconds: z.number().nullable().describe('Since it started; of one that has ended, how long it was.'),
    paused: z.boolean(),
    pausedBy: z.array(z.enum(['platform', 'client', 'operator'])),
    oneWayAudio: z
      .object({ channel: z.number(), cause: z.enum(['noPackets', 'digitalSilence']) })
      .nullable()
      .describe('The side that has no signal while the other one speaks; null when both have one.'),
    levelDbfs: perChannel(z.number()).describe('From -96 to 0.'),
    speech: perChannel(z.boolean()),
    silenceKind: perChannel(z.enum(['digital', 'comfortNoise']).nullable()).describe(
      'Of a silence that has lasted 1 s as such: all samples are the same, or the sender does not send silence. Null for ' +
        'background noise, speech and a channel without frames.',
    ),
    packetsReceived: z.number(),
    packetsLost: z.number(),
    packetsRepaired: z.number().describe('Late packets that are recorded in their place all the same.'),
    lossRatio: z.number().describe('Of the packets that were due.'),
    lateRatio: z.number().describe('Of the packets received.'),
    jitterMs: z.number(),
    playoutDelayMs: z.number().nullable().describe('Null once it has ended.'),
    latencyMs: z.number().nullable().describe('From arrival to delivery, playout delay included; smoothed.'),
  })
  .meta({ id: 'Interaction' });
export type Interaction = z.infer<typeof interactionSchema>;

const receptionSchema = z.object({
  channel: z.number(),
  packetsReceived: z.number(),
  bytesReceived: z.number(),
  packetsLost: z.number(),
  packetsLate: z.number(),
  packetsRepaired: z.number(),
  packetsDuplicate: z.number(),
  packetsForeign: z.number(),
  packetsReordered: z.number(),
  packetsDropped: z.number(),
  jitterMs: z.number(),
  playoutDelayMs: z.number(),
  driftPpm: z.number().nullable().describe("How much faster the sender's clock runs; null while it is not known."),
  bursts: z.number().describe('Bursts of loss, RFC 3611 with Gmin 16.'),
  burstDensity: z.number().describe('Share of packets lost within bursts, 0 to 1.'),
  gapDensity: z.number().describe('Share of packets lost outside of bursts, 0 to 1.'),
  burstDurationMs: z.number(),
  gapDurationMs: z.number(),
  concealedMs: z.number().describe('Audio made up in place of lost and late packets.'),
  mosLqMin: z
    .number()
    .nullable()
    .describe('MOS-LQ by ITU-T G.107, lowest of all windows of 10 s; null where there is none.'),
  mosLqMean: z.number().nullable(),
});
export type InteractionReception = z.infer<typeof receptionSchema>;

const spanSchema = z.object({
  channel: z.number(),
  state: z.enum(['speech', 'silence', 'lost', 'paused', 'discarded']),
  kind: z
    .enum(['digital', 'comfortNoise'])
    .optional()
    .describe(
      'Of a silence: all samples are the same, or the sender does not send silence. Absent for background noise.',
    ),
  startMs: z.number().describe('From the start of the interaction.'),
  endMs: z.number(),
});

export const interactionDetailSchema = interactionSchema
  .extend({
    organizationId: z.string().nullable(),
    attributes: attributesSchema,
    segment: z.number().describe('2 after the first change of format, then 3, and so on.'),
    reception: z.array(receptionSchema).describe('By channel; empty once it has ended. Of the newest segment.'),
    spans: z.array(spanSchema).describe('The newest of each channel, at most 128.'),
    spansComplete: z.boolean().describe('False when there were more spans before.'),
  })
  .meta({ id: 'InteractionDetail' });
export type InteractionDetail = z.infer<typeof interactionDetailSchema>;
